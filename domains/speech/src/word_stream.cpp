#include <mpp/speech/word_stream.hpp>

#include <mpp/core/error.hpp>
#include <mpp/speech/viterbi_search.hpp>

namespace mpp::speech {

void check(const ViterbiStreamOptions& o) {
  constexpr std::size_t most_frames = std::size_t{1} << 20, most_words = std::size_t{1} << 31;
  expects<ValueError>(o.graph != nullptr, "ViterbiStream: graph is null, expected a FoldedGraph");
  expects<ValueError>(o.live_cap >= 1 && o.live_cap <= most_paths, "ViterbiStream: live_cap is ", o.live_cap,
                      ", expected in [1, ", most_paths, "]");
  expects<ValueError>(o.beam_threshold > 0.0, "ViterbiStream: beam_threshold is ", o.beam_threshold,
                      ", expected a positive number");
  expects<ValueError>(o.shortest_block >= 1 && o.shortest_block <= o.longest_block && o.longest_block < most_frames,
                      "ViterbiStream: shortest_block is ", o.shortest_block, ", longest_block ", o.longest_block,
                      ", expected 1 <= shortest_block <= longest_block < ", most_frames);
  expects<ValueError>(o.sure_blank >= 0.0, "ViterbiStream: sure_blank is ", o.sure_blank, ", expected 0 or more");
  expects<ValueError>(o.closing_lead >= 0.0, "ViterbiStream: closing_lead is ", o.closing_lead, ", expected 0 or more");
  expects<ValueError>(o.longest_uncommitted >= 1 && o.longest_uncommitted < most_words,
                      "ViterbiStream: longest_uncommitted is ", o.longest_uncommitted, ", expected 1 to ",
                      most_words - 1);
  const std::size_t least = o.longest_uncommitted + o.longest_block + 2;
  expects<ValueError>(o.history_capacity >= least && o.history_capacity < most_words,
                      "ViterbiStream: history_capacity is ", o.history_capacity,
                      ", expected at least longest_uncommitted + longest_block + 2 = ", least, " and below ",
                      most_words);
}

}  // namespace mpp::speech
