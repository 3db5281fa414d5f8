#include <mpp/speech/language_model.hpp>

#include <mpp/core/error.hpp>

#include "line_reader.hpp"
#include "ngram_builder.hpp"

namespace mpp::speech {

Bytes NgramTables::resident() const noexcept {
  return unigram_states.resident() +
         bytes_of<std::uint32_t>(unigram.capacity() + backoff.capacity() + shorter.capacity() + first_arc.capacity() +
                                 arc_word.capacity() + arc_log_prob.capacity() + arc_next.capacity());
}

NgramModel NgramModel::read_arpa(std::istream& in, const ArpaOptions& options) {
  LineReader lines(in, "read_arpa");
  return NgramModelBuilder::read(lines, options);
}

NgramModel NgramModel::read_arpa(const std::filesystem::path& path, const ArpaOptions& options) {
  std::ifstream in = open_file(path, "read_arpa");
  LineReader lines(in, mpp::text("read_arpa: ", path.string()));
  return NgramModelBuilder::read(lines, options);
}

WordId NgramModel::id(std::string_view word) const noexcept {
  const auto id = vocabulary_.find(word);
  return id ? WordId{*id} : unknown_word_;
}

Footprint NgramModel::resident() const noexcept {
  return Footprint::host(Bytes{sizeof(*this)} + tables_.resident() + vocabulary_.resident() +
                         bytes_of<std::size_t>(counts_.capacity()));
}

}  // namespace mpp::speech
