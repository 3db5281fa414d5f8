"""Attention of one new token by the operations of llama.cpp on the CPU, over the types of its KV cache, in three forms.

flash   ggml_flash_attn_ext: llama.cpp with flash attention, the only form that reads quantized values
plain   two products and a softmax: llama.cpp without flash attention; values are float16 and transposed
folded  plain with the queries of a group as if they were tokens, so that they share a pass; llama.cpp does not do this
The ggml libraries are those that llama-cpp-python builds. Everything a graph uses lies in one ggml context.
"""

import ctypes
import math
import time
from ctypes import c_bool, c_float, c_int, c_int64, c_size_t, c_void_p

import numpy as np
from llama_cpp._ggml import libggml

TYPES = {"f32": 0, "f16": 1, "q8": 8, "q4": 2}  # enum ggml_type; q8 and q4 are Q8_0 and Q4_0
CACHES = (  # --cache-type-k, --cache-type-v, and the forms that read them
    *((types, ("flash",)) for types in (("f16", "f16"), ("q8", "q8"), ("q8", "q4"), ("q4", "q4"))),
    *(((keys, "f16"), ("plain", "folded")) for keys in ("f16", "q8", "q4")),
)
SLACK_BYTES = 16 << 20  # of a context: tensors, graphs, and what an operation takes beside the queries


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool)]


def declare(name, result, *arguments):
    function = getattr(libggml, f"ggml_{name}")
    function.restype, function.argtypes = result, arguments
    return function


init = declare("init", c_void_p, InitParams)
reset = declare("reset", None, c_void_p)
free = declare("free", None, c_void_p)
row_size = declare("row_size", c_size_t, c_int, c_int64)
new_tensor = declare("new_tensor_3d", c_void_p, c_void_p, c_int, c_int64, c_int64, c_int64)
get_data = declare("get_data", c_void_p, c_void_p)
quantize = declare("quantize_chunk", c_size_t, c_int, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p)
reshape = declare("reshape_3d", c_void_p, c_void_p, c_void_p, c_int64, c_int64, c_int64)
product = declare("mul_mat", c_void_p, c_void_p, c_void_p, c_void_p)
softmax = declare("soft_max_ext_inplace", c_void_p, c_void_p, c_void_p, c_void_p, c_float, c_float)
flash_attention = declare("flash_attn_ext", c_void_p, *[c_void_p] * 5, *[c_float] * 3)
new_graph = declare("new_graph", c_void_p, c_void_p)
expand = declare("build_forward_expand", None, c_void_p, c_void_p)
compute = declare("graph_compute_with_ctx", c_int, c_void_p, c_void_p, c_int)


def view(tensor, kind, *shape):
    """The memory of a tensor as an array."""
    item = np.ctypeslib.as_ctypes_type(kind)
    return np.ctypeslib.as_array((item * math.prod(shape)).from_address(get_data(tensor))).reshape(shape)


def bytes_per_token(types, head_dim):
    return sum(row_size(TYPES[name], head_dim) for name in types)


class Ggml:
    """One token's reads of the caches of `copies` times the given KV heads, in one call and on one thread.

    types         of keys and of values, with `forms` as in CACHES
    keys, values  [heads, tokens, head_dim], float32; the cache of a head is contiguous
    queries       [copies * heads * group, head_dim], float32; the queries of a KV head are neighbours
    """

    def __init__(self, types, forms, keys, values, queries, copies=1):
        heads, tokens, self.head_dim = keys.shape
        self.heads, self.queries = copies * heads, len(queries)
        cache_bytes = self.heads * tokens * bytes_per_token(types, self.head_dim)
        weight_bytes = 0 if forms == ("flash",) else 4 * self.queries * tokens
        self.context = init(InitParams(cache_bytes + len(forms) * weight_bytes + SLACK_BYTES, None, False))
        self.work = init(InitParams(weight_bytes + SLACK_BYTES, None, False))
        cached = (keys, values if forms == ("flash",) else values.swapaxes(1, 2))
        self.caches = [self.fill(TYPES[name], rows, copies) for name, rows in zip(types, cached)]
        self.asked = new_tensor(self.context, TYPES["f32"], self.head_dim, 1, self.queries)
        view(self.asked, np.float32, *queries.shape)[:] = queries
        self.answers = {f"ggml_{form}_{'_'.join(types)}": self.attention(form) for form in forms}
        self.graphs = {}
        for name, answer in self.answers.items():
            self.graphs[name] = new_graph(self.context)
            expand(self.graphs[name], answer)

    def __del__(self):
        free(self.context)
        free(self.work)

    def fill(self, kind, rows, copies):
        """@return a tensor of `copies` times rows [heads, n, width], as ggml quantizes them"""
        heads, count, width = rows.shape
        rows = np.ascontiguousarray(rows, np.float32)
        codes = np.empty((heads, count, row_size(kind, width)), np.uint8)
        quantize(kind, rows.ctypes.data, codes.ctypes.data, 0, heads * count, width, None)
        cache = new_tensor(self.context, kind, width, count, copies * heads)
        view(cache, np.uint8, copies, *codes.shape)[:] = codes
        return cache

    def attention(self, form):
        """No mask: all tokens are seen."""
        (keys, values), queries, scale = self.caches, self.asked, 1.0 / math.sqrt(self.head_dim)
        if form == "flash":
            return flash_attention(self.context, queries, keys, values, None, scale, 0.0, 0.0)
        if form == "folded":
            queries = reshape(self.context, queries, self.head_dim, self.queries // self.heads, self.heads)
        weights = softmax(self.context, product(self.context, keys, queries), None, scale, 0.0)
        return product(self.context, values, weights)

    def run(self, name):
        """@return seconds of this thread for one KV head"""
        reset(self.work)  # every computation takes its space anew
        begin = time.thread_time()
        status = compute(self.work, self.graphs[name], 1)
        taken = time.thread_time() - begin
        if status != 0:
            raise SystemExit(f"{name}: ggml_graph_compute ended with status {status}")
        return taken / self.heads

    def output(self, name):
        return view(self.answers[name], np.float32, self.queries, self.head_dim).copy()
