"""Attention of one new token as llama.cpp computes it on the CPU, ggml_flash_attn_ext, over the types of its KV cache.

The ggml libraries are those that llama-cpp-python builds. Everything the graph uses lies in one ggml context.
"""

import ctypes
import math
import time
from ctypes import c_bool, c_float, c_int, c_int64, c_size_t, c_void_p

import numpy as np
from llama_cpp._ggml import libggml

TYPES = {"f32": 0, "f16": 1, "q8": 8, "q4": 2}  # enum ggml_type; q8 and q4 are Q8_0 and Q4_0
PAIRS = (("f16", "f16"), ("q8", "q8"), ("q8", "q4"), ("q4", "q4"))  # --cache-type-k, --cache-type-v
WORK_BYTES = 16 << 20  # most of ggml_graph_plan: 4 * (head_dim + 2) bytes for each query, here at most 4 MB
SLACK_BYTES = 1 << 20  # of a context: its tensors and the graph


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

    types         of keys and of values
    keys, values  [heads, tokens, head_dim], float32; the cache of a head is contiguous
    queries       [copies * heads * group, head_dim], float32; the queries of a KV head are neighbours
    """

    def __init__(self, types, keys, values, queries, copies=1):
        heads, tokens, head_dim = keys.shape
        self.heads, self.shape = copies * heads, queries.shape
        cache_bytes = self.heads * tokens * bytes_per_token(types, head_dim)
        self.context = init(InitParams(cache_bytes + 2 * queries.nbytes + SLACK_BYTES, None, False))
        self.work = init(InitParams(WORK_BYTES, None, False))
        caches = []
        for name, rows in zip(types, (keys, values)):
            rows = np.ascontiguousarray(rows, np.float32)
            codes = np.empty((heads, tokens, row_size(TYPES[name], head_dim)), np.uint8)
            quantize(TYPES[name], rows.ctypes.data, codes.ctypes.data, 0, heads * tokens, head_dim, None)
            cache = new_tensor(self.context, TYPES[name], head_dim, tokens, self.heads)
            view(cache, np.uint8, copies, *codes.shape)[:] = codes
            caches.append(cache)
        asked = new_tensor(self.context, TYPES["f32"], head_dim, 1, len(queries))
        view(asked, np.float32, *self.shape)[:] = queries
        # No mask: all tokens are seen.
        self.answer = flash_attention(self.context, asked, *caches, None, 1.0 / math.sqrt(head_dim), 0.0, 0.0)
        self.graph = new_graph(self.context)
        expand(self.graph, self.answer)

    def __del__(self):
        for context in (self.context, self.work):
            free(context)

    def run(self):
        """@return seconds of this thread for one KV head"""
        reset(self.work)  # every computation takes its work space anew
        begin = time.thread_time()
        status = compute(self.work, self.graph, 1)
        taken = time.thread_time() - begin
        if status != 0:
            raise SystemExit(f"ggml_graph_compute ended with status {status}")
        return taken / self.heads

    def output(self):
        return view(self.answer, np.float32, *self.shape).copy()
