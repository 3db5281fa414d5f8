#pragma once
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace mpp::test {

/// A backoff model as a map from word sequences to numbers, evaluated by the textbook recursion. Shares no code with
/// the library and checks nothing: it is given files that the library accepts.
class ArpaReference {
 public:
  using Words = std::vector<std::string>;
  struct Value {
    double log_prob;   ///< natural
    double magnitude;  ///< sum of |p| and |backoff| over the terms
  };

  explicit ArpaReference(const std::string& text) {
    std::istringstream in(text);
    std::string line;
    bool data = false;
    for (std::size_t n = 0; std::getline(in, line);) {
      while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.pop_back();
      if (!data) {
        data = line == "\\data\\";
      } else if (line == "\\end\\") {
        break;
      } else if (!line.empty() && line.front() == '\\') {
        order_ = n = static_cast<std::size_t>(std::atoi(line.c_str() + 1));
      } else if (n > 0 && !line.empty()) {
        add(fields(line), n);
      }
    }
    if (!entries_.contains({"<unk>"}) && entries_.contains({"<UNK>"})) unknown_ = "<UNK>";
    if (!entries_.contains({unknown_})) entries_[{unknown_}] = {-HUGE_VAL, 0.0};
  }

  std::size_t order() const { return order_; }
  Words words() const {
    Words words;
    for (const auto& [gram, value] : entries_)
      if (gram.size() == 1) words.push_back(gram[0]);
    return words;
  }

  /// log P(word | history); unknown words count as <unk>.
  Value score(const Words& history, const std::string& word) const {
    return recurse(last(history, order_ - 1), known(word));
  }

  /// The longest suffix of a history that can still matter: it has a backoff, or some n-gram begins with it.
  Words context(const Words& history) const {
    for (Words suffix = last(history, order_ - 1); !suffix.empty(); suffix.erase(suffix.begin())) {
      const auto entry = entries_.find(suffix);
      if (prefixes_.contains(suffix) || (entry != entries_.end() && entry->second.second != 0.0)) return suffix;
    }
    return {};
  }

 private:
  static Words fields(const std::string& line) {
    Words out(1);
    for (const char c : line) {
      if (c != ' ' && c != '\t')
        out.back().push_back(c);
      else if (!out.back().empty())
        out.emplace_back();
    }
    if (out.back().empty()) out.pop_back();
    return out;
  }
  void add(const Words& f, std::size_t n) {
    const Words gram(f.begin() + 1, f.begin() + 1 + static_cast<std::ptrdiff_t>(n));
    entries_[gram] = {std::strtod(f[0].c_str(), nullptr) * std::log(10.0),
                      f.size() > n + 1 ? std::strtod(f[n + 1].c_str(), nullptr) * std::log(10.0) : 0.0};
    for (Words prefix = gram; prefix.size() > 1;) {
      prefix.pop_back();
      prefixes_.insert(prefix);
    }
  }
  std::string known(const std::string& word) const { return entries_.contains({word}) ? word : unknown_; }
  Words last(const Words& history, std::size_t n) const {
    Words out;
    for (std::size_t i = history.size() - std::min(n, history.size()); i < history.size(); ++i)
      out.push_back(known(history[i]));
    return out;
  }
  Value recurse(const Words& history, const std::string& word) const {
    Words gram = history;
    gram.push_back(word);
    if (const auto at = entries_.find(gram); at != entries_.end())
      return {at->second.first, std::abs(at->second.first)};
    const auto context = entries_.find(history);
    const double backoff = context != entries_.end() ? context->second.second : 0.0;
    const Value shorter = recurse(Words(history.begin() + 1, history.end()), word);
    return {backoff + shorter.log_prob, std::abs(backoff) + shorter.magnitude};
  }

  std::map<Words, std::pair<double, double>> entries_;
  std::set<Words> prefixes_;
  std::size_t order_ = 0;
  std::string unknown_ = "<unk>";
};

/// Whether a score is within the error that NgramModel states. Infinite values must be equal.
inline bool agrees(double score, const ArpaReference::Value& exact, std::size_t order) {
  if (std::isinf(exact.magnitude)) return score == exact.log_prob;
  return std::abs(score - exact.log_prob) <= static_cast<double>(order) * (6e-8 * exact.magnitude + 0x1p-149);
}

}  // namespace mpp::test
