#include "arpa.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numbers>
#include <system_error>

#include <mpp/speech/language_model.hpp>

namespace mpp::speech {
namespace {

constexpr std::uint64_t most_ngrams = 0xFFFF'FFFE;  // arcs and states are numbered in 32 bits
constexpr double largest_log = 1e30;                // sums of a few stay within float

class ArpaParser {
 public:
  explicit ArpaParser(LineReader& lines) : lines_(lines) {}

  ArpaFile parse() {
    read_counts();
    for (std::size_t n = 1; n <= counts_.size(); ++n) {
      expect_line(text("\\", n, "-grams:"));
      file_.sections.push_back({.n = n, .words = {}, .log_prob = {}, .backoff = {}, .line = {}});
      read_section(file_.sections.back());
      if (n == 1)
        for (const std::string_view word : {"<s>", "</s>"})
          if (!file_.vocabulary.find(word)) lines_.fail("the 1-grams above hold no ", word);
    }
    expect_line("\\end\\");
    return std::move(file_);
  }

 private:
  // The next line that is not blank. Its end is the end of the file only where something is missing.
  void next(const auto&... expected) {
    while (lines_.next())
      if (!blank(lines_.line())) return;
    lines_.fail_at(lines_.number() + 1, "the end of the file, expected ", expected...);
  }
  std::string_view trimmed() const noexcept {
    return lines_.line().substr(0, lines_.line().find_last_not_of(" \t") + 1);
  }
  void expect_line(std::string_view expected) const {
    if (trimmed() != expected) lines_.fail("came ", printable(lines_.line()), ", expected ", expected);
  }

  // "ngram 2=433" for every order, after \data\; stops at the first line that begins a section.
  void read_counts() {
    do next("\\data\\");
    while (trimmed() != "\\data\\");
    std::uint64_t total = 0;
    for (next("ngram 1=count"); lines_.line().front() != '\\'; next("\\1-grams:")) {
      const std::size_t n = counts_.size() + 1;
      if (n > NgramModel::max_order) lines_.fail("order ", n, ", expected at most ", NgramModel::max_order);
      counts_.push_back(read_count(n));
      if (counts_.back() > most_ngrams || (total += counts_.back()) > most_ngrams)
        lines_.fail("announces ", counts_.back(), " n-grams, expected at most ", most_ngrams, " over all orders");
    }
    if (counts_.empty()) lines_.fail("came ", printable(lines_.line()), ", expected ngram 1=count");
  }

  std::uint64_t read_count(std::size_t n) const {
    std::string compact;
    for (const char c : lines_.line())
      if (c != ' ' && c != '\t') compact.push_back(c);
    const std::string head = text("ngram", n, "=");
    std::uint64_t count = 0;
    const char* const end = compact.data() + compact.size();
    if (compact.starts_with(head)) {
      const auto [stop, error] = std::from_chars(compact.data() + head.size(), end, count);
      if (error == std::errc{} && stop == end) return count;
    }
    lines_.fail("came ", printable(lines_.line()), ", expected ngram ", n, "= and a count below 2^64");
  }

  // Leaves the line after the section as the current one.
  void read_section(ArpaSection& section) {
    const std::uint64_t announced = counts_[section.n - 1];
    const std::string end = text(announced, " ", section.n, "-grams and then a line that begins with \\");
    for (next(end); lines_.line().front() != '\\'; next(end)) {
      if (section.size() == announced) lines_.fail("one more ", section.n, "-gram than the ", announced, " announced");
      read_entry(section);
    }
    if (section.size() != announced)
      lines_.fail("the section above holds ", section.size(), " ", section.n, "-grams, announced were ", announced);
  }

  void read_entry(ArpaSection& section) {
    const std::size_t n = section.n;
    const std::size_t count = split(lines_.line(), fields_);
    if (count != n + 1 && count != n + 2)
      lines_.fail("came ", count, " fields, expected a probability, ", n, " word(s) and perhaps a backoff");
    const float log_prob = natural(fields_[0], "the probability");
    if (log_prob > 0.0F) lines_.fail("the probability is 10 to the ", fields_[0], ", expected at most 1");
    float backoff = count == n + 2 ? natural(fields_[n + 1], "the backoff") : 0.0F;
    if (n == counts_.size() && backoff != 0.0F)
      lines_.fail("the backoff is ", fields_[n + 1], ", expected none or 0 in the highest order");
    if (backoff == 0.0F) backoff = 0.0F;  // no -0
    if (n == 1) {
      if (add_word(fields_[1]) != section.size()) lines_.fail("the 1-gram ", printable(fields_[1]), " is there twice");
    } else {
      for (std::size_t i = 1; i <= n; ++i) section.words.push_back(known(fields_[i]));
      section.line.push_back(lines_.number());
    }
    section.log_prob.push_back(log_prob);
    section.backoff.push_back(backoff);
  }

  std::uint32_t add_word(std::string_view word) {
    try {
      return file_.vocabulary.add(word);
    } catch (const ValueError& full) {
      lines_.fail(full.what());
    }
  }
  std::uint32_t known(std::string_view word) const {
    const auto id = file_.vocabulary.find(word);
    if (!id) lines_.fail("the word ", printable(word), " is no 1-gram");
    return *id;
  }

  // log10 in the file, natural logarithm out; -infinity is a number here, NaN and +infinity are none.
  float natural(std::string_view field, std::string_view what) const {
    double log10 = 0.0;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), log10);
    if (error != std::errc{} || stop != field.data() + field.size())
      lines_.fail(what, " is ", printable(field), ", expected a number");
    const double log = log10 * std::numbers::ln10;
    if (log10 == -std::numeric_limits<double>::infinity()) return static_cast<float>(log);
    if (!(std::abs(log) <= largest_log))  // NaN fails too
      lines_.fail(what, " is ", printable(field), ", expected a number, below 1e30 nats either way, or -inf");
    return static_cast<float>(log);
  }

  LineReader& lines_;
  ArpaFile file_;
  std::vector<std::uint64_t> counts_;
  std::array<std::string_view, NgramModel::max_order + 2> fields_;
};

}  // namespace

ArpaFile parse_arpa(LineReader& lines) { return ArpaParser(lines).parse(); }

}  // namespace mpp::speech
