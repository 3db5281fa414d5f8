# Entry points. CMake presets do the work; `make CMAKE_ARGS=-DMPP_CUDA=OFF test` passes arguments on.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export CMAKE_ARGS
.PHONY: help deps test sanitize demo bench bundle bundle-check format format-check clean

CLANG_FORMAT ?= clang-format-16
sources = git ls-files -z '*.hpp' '*.cpp' '*.cu' '*.cuh'
release = cmake --preset release $(CMAKE_ARGS)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install missing Debian or Ubuntu packages (says first which)
	@tools/deps.sh

test: deps ## build with assertions and run every test
	@tools/test.sh dev

sanitize: deps ## all CPU tests under ASan and UBSan, the core tests under TSan
	@tools/test.sh asan
	@tools/test.sh tsan core

demo: deps ## run the examples on embedded data; report in out/demo/report.html
	@$(release)
	@cmake --build --preset release --target quickstart ranking_pool speech_beam llm_attention
	@mkdir -p out/demo
	build/release/examples/quickstart
	build/release/examples/ranking_pool --report out/demo/report.html
	build/release/examples/speech_beam --report out/demo/report.html
	build/release/examples/llm_attention --report out/demo/report.html

bench: deps ## run every benchmark for under a minute each; JSON in out/bench
	@$(release)
	@cmake --build --preset release --target bench/all
	@mkdir -p out/bench
	@for program in build/release/bench/bench_*; do \
	  if [ -f "$$program" ] && [ -x "$$program" ]; then \
	    echo "$$program"; "$$program" --quick --json "out/bench/$$(basename "$$program").json"; \
	  fi; \
	done

bundle: ## collect third-party sources in bundle/ for a machine without network
	@tools/deps.sh build bundle
	@tools/bundle.sh bundle

bundle-check: ## build and test from bundle/ with the installed packages hidden
	@tools/bundle_check.sh bundle

format: ## format our C++ and CUDA sources
	@tools/deps.sh format
	@$(sources) | xargs -0 --no-run-if-empty $(CLANG_FORMAT) -i

format-check: ## fail if a source file is not formatted
	@tools/deps.sh format
	@$(sources) | xargs -0 --no-run-if-empty $(CLANG_FORMAT) --dry-run --Werror

clean: ## remove what was built
	rm -rf build out
