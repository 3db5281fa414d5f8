#include <mpp/speech/word_graph.hpp>

#include <algorithm>
#include <cmath>
#include <string_view>

#include <mpp/core/error.hpp>

#include <mpp/speech/rounding.hpp>
#include "context_potentials.hpp"
#include "line_reader.hpp"

namespace mpp::speech {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double most = 1e6;           // nats: far beyond any use, and no sum of scores can leave the doubles
constexpr double least_weight = 1e-6;  // no product with a log-probability, a sum of floats, is subnormal

void check(double weight, std::string_view name) {
  expects<ValueError>(std::abs(weight) <= most, "WordGraph: ", name, " is ", weight, ", expected within +-", most);
}

void check(const WordWeights& weights) {
  expects<ValueError>(weights.lm_weight == 0.0 || (weights.lm_weight >= least_weight && weights.lm_weight <= most),
                      "WordGraph: lm_weight is ", weights.lm_weight, ", expected 0 or in [", least_weight, ", ", most,
                      "]");
  check(weights.word_bonus, "word_bonus");
  if (weights.unknown_score != -infinity) check(weights.unknown_score, "unknown_score");
  check(weights.silence_score, "silence_score");
  expects<ValueError>(weights.silence.value_or(0) < Token{1} << 31, "WordGraph: silence is ",
                      weights.silence.value_or(0), ", expected below 2^31; leave it out where there is none");
}

}  // namespace

WordGraph::WordGraph(const Lexicon& lexicon, const NgramModel* model, const WordWeights& weights,
                     std::span<const Hotword> hotwords)
    : lexicon_(&lexicon), model_(weights.lm_weight == 0.0 ? nullptr : model), weights_(weights),
      unknown_extra_(weights.word_bonus + weights.unknown_score) {
  check(weights);
  word_id_.resize(lexicon.words());
  extra_.assign(lexicon.words(), weights.word_bonus);
  for (Lexicon::Word word = 0; model_ != nullptr && word < lexicon.words(); ++word)
    word_id_[word] = model_->id(lexicon.text(word));
  if (model_ != nullptr) unknown_id_ = model_->unknown_word();
  for (const Hotword& hotword : hotwords) {
    check(hotword.weight, text("the weight of the hotword ", printable(hotword.word)));
    const auto word = lexicon.find(hotword.word);
    expects<ValueError>(word.has_value(), "WordGraph: the hotword ", printable(hotword.word),
                        " is no word of the lexicon");
    extra_[*word] += hotword.weight;
    check(extra_[*word], text("the sum of the weights of ", printable(hotword.word)));
  }
  spelled_.assign(lexicon.tokens(), 0);
  for (std::size_t node = 1; node < lexicon.nodes(); ++node)
    spelled_[lexicon.token(static_cast<Lexicon::Node>(node))] = 1;
  bound();
}

void WordGraph::bound() {
  std::vector<double> upper = extra_;
  double unknown = unknown_extra_, end = 0.0;
  if (model_ != nullptr) {
    std::vector<bool> used(model_->words(), false);
    for (const WordId id : word_id_) used[static_cast<std::uint32_t>(id)] = true;
    if (allows_unknown()) used[static_cast<std::uint32_t>(unknown_id_)] = true;
    used[static_cast<std::uint32_t>(model_->end_word())] = true;
    const ContextPotentials potentials(*model_, weights_.lm_weight, used);
    for (std::size_t w = 0; w < upper.size(); ++w) upper[w] = potentials.upper(word_id_[w], extra_[w]);
    if (allows_unknown()) unknown = potentials.upper(unknown_id_, unknown_extra_);
    end = potentials.upper(model_->end_word(), 0.0);
    potential_ = potentials.potential();
  }
  word_upper_.resize(upper.size());
  std::ranges::transform(upper, word_upper_.begin(), float_above);
  unknown_upper_ = float_above(unknown);
  end_upper_ = float_above(end);
  smear_ = speech::smear(*lexicon_, upper);
  if (allows_unknown()) smear_unknown();
}

void WordGraph::smear_unknown() {
  for (std::size_t i = lexicon_->nodes(); i-- > 0;) {  // children come after their parent
    const auto node = static_cast<Lexicon::Node>(i);
    if (node != Lexicon::root && lexicon_->words_at(node).empty()) smear_[i] = std::max(smear_[i], unknown_upper_);
    const auto [first, count] = lexicon_->children(node);
    for (Lexicon::Node child = first; child < first + count; ++child) smear_[i] = std::max(smear_[i], smear_[child]);
  }
}

Footprint WordGraph::resident() const noexcept {
  return Footprint::host(Bytes{sizeof(*this)} + bytes_of<WordId>(word_id_.capacity()) +
                         bytes_of<double>(extra_.capacity()) + bytes_of<std::uint8_t>(spelled_.capacity()) +
                         bytes_of<float>(word_upper_.capacity() + smear_.capacity() + potential_.capacity()));
}

}  // namespace mpp::speech
