#pragma once
#include <cstddef>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace mpp::examples {

/// One line on stderr that says how far long work is: "coding items  37 %". On a terminal it is rewritten in place and
/// wiped at the end; elsewhere nothing is printed unless asked for, and then one line per tenth.
class ProgressLine {
 public:
  ProgressLine(std::string work, bool always)
      : work_(std::move(work)), terminal_(::isatty(STDERR_FILENO) == 1), steps_(terminal_ ? 100 : 10),
        shown_(terminal_ || always) {}
  ~ProgressLine() {
    if (terminal_) std::fputs("\r\033[K", stderr);
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void operator()(std::size_t done, std::size_t all) {
    if (!shown_ || all == 0 || done * steps_ / all == step_) return;
    step_ = done * steps_ / all;
    std::fprintf(stderr, terminal_ ? "\r%s %3zu %%" : "%s %3zu %%\n", work_.c_str(), step_ * 100 / steps_);
  }

 private:
  std::string work_;
  bool terminal_;
  std::size_t steps_;
  bool shown_;
  std::size_t step_ = 0;
};

}  // namespace mpp::examples
