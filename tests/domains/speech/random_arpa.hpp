#pragma once
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <mpp/speech/language_model.hpp>

namespace mpp::test {

/// How a random model looks. Probabilities need not sum to one: the formula does not care, and the extremes are wanted.
struct ArpaShape {
  std::size_t order = 3;
  std::size_t words = 4;          ///< beside <s>, </s> and <unk>
  double density = 0.3;           ///< share of all n-grams that are listed
  bool positive_backoffs = true;  ///< as Kneser-Ney estimates have them
  bool holes = true;              ///< n-grams whose prefix or suffix is not listed
  bool infinities = true;
};

inline std::vector<std::string> words_of(const ArpaShape& shape) {
  std::vector<std::string> words{"<unk>", "<s>", "</s>"};
  for (std::size_t i = 0; i < shape.words; ++i) words.push_back(std::string("w").append(std::to_string(i)));
  return words;
}

class RandomArpa {
 public:
  RandomArpa(const ArpaShape& shape, std::uint64_t seed) : shape_(shape), random_(seed) {
    std::vector<Gram> longest;
    for (const std::string& word : words_of(shape)) longest.push_back({word});
    std::vector<std::vector<Gram>> orders{longest};
    while (orders.size() < shape.order) orders.push_back(longer(orders));
    write(orders);
  }
  const std::string& text() const { return text_; }

 private:
  using Gram = std::vector<std::string>;

  double uniform() { return std::uniform_real_distribution<>()(random_); }

  // Extends the grams of the order before; with holes, also sequences that are not listed.
  std::vector<Gram> longer(const std::vector<std::vector<Gram>>& orders) {
    const std::set<Gram> listed(orders.back().begin(), orders.back().end());
    std::set<Gram> prefixes = listed;
    if (shape_.holes)
      for (const Gram& gram : orders.back())
        if (uniform() < 0.2) {
          prefixes.insert(gram);
          Gram other = gram;
          other.front() = orders[0][random_() % orders[0].size()][0];
          prefixes.insert(other);
        }
    std::set<Gram> grams;
    for (const Gram& prefix : prefixes)
      for (const Gram& word : orders[0]) {
        if (uniform() >= shape_.density) continue;
        Gram gram = prefix;
        gram.push_back(word[0]);
        if (!shape_.holes && !listed.contains(Gram(gram.begin() + 1, gram.end()))) continue;
        grams.insert(gram);
      }
    std::vector<Gram> out(grams.begin(), grams.end());
    std::shuffle(out.begin(), out.end(), random_);
    return out;
  }

  std::string probability() {
    const double u = uniform();
    if (shape_.infinities && u < 0.02) return "-inf";
    return u < 0.04 ? "-99" : u < 0.06 ? "0" : std::to_string(-3.0 * uniform());
  }
  std::string backoff() {
    const double u = uniform();
    if (u < 0.3) return "";
    if (u < 0.45) return "\t0";
    if (shape_.infinities && u < 0.47) return "\t-inf";
    return std::string("\t").append(
        std::to_string(shape_.positive_backoffs && u < 0.6 ? 0.7 * uniform() : -1.5 * uniform()));
  }
  void write(const std::vector<std::vector<Gram>>& orders) {
    std::ostringstream out;
    out << "\\data\\\n";
    for (std::size_t n = 1; n <= orders.size(); ++n) out << "ngram " << n << "=" << orders[n - 1].size() << "\n";
    for (std::size_t n = 1; n <= orders.size(); ++n) {
      out << "\n\\" << n << "-grams:\n";
      for (const Gram& gram : orders[n - 1]) {
        out << probability();
        for (std::size_t i = 0; i < n; ++i) out << (i == 0 ? "\t" : " ") << gram[i];
        out << (n < orders.size() ? backoff() : "") << "\n";
      }
    }
    out << "\n\\end\\\n";
    text_ = out.str();
  }

  ArpaShape shape_;
  std::mt19937_64 random_;
  std::string text_;
};

inline speech::NgramModel model_of(const std::string& arpa, const speech::ArpaOptions& options = {}) {
  std::istringstream in(arpa);
  return speech::NgramModel::read_arpa(in, options);
}

/// Shapes of orders 1 to 4, dense and sparse, with and without holes.
inline std::vector<ArpaShape> arpa_shapes() {
  std::vector<ArpaShape> shapes;
  for (const std::size_t order : {1U, 2U, 3U, 4U})
    for (const double density : {0.1, 0.4})
      for (const bool holes : {false, true})
        shapes.push_back({.order = order, .words = order < 4 ? 4U : 2U, .density = density, .holes = holes});
  return shapes;
}

}  // namespace mpp::test
