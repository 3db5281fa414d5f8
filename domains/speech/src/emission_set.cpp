#include <mpp/speech/emission_set.hpp>

#include <cstdint>
#include <nlohmann/json.hpp>

#include <mpp/core/error.hpp>

#include "src/line_reader.hpp"

namespace mpp::speech {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t most_frames = (std::uint64_t{1} << 31) - 1;

const Json& member(const Json& object, const char* name, Json::value_t type) {
  expects<FormatError>(object.is_object() && object.contains(name), "read_emission_set: no \"", name, "\"");
  const Json& value = object[name];
  expects<FormatError>(value.type() == type, "read_emission_set: \"", name, "\" is a ", value.type_name(),
                       ", expected a ", Json(type).type_name());
  return value;
}

std::uint64_t number(const Json& object, const char* name, std::uint64_t least, std::uint64_t most) {
  const Json& value = member(object, name, Json::value_t::number_unsigned);
  const auto n = value.get<std::uint64_t>();
  expects<FormatError>(n >= least && n <= most, "read_emission_set: \"", name, "\" is ", n, ", expected ", least,
                       " to ", most);
  return n;
}

// Only files beside set.json: a set from somewhere else must not make us open others.
std::string plain_name(const Json& condition) {
  const auto name = member(condition, "file", Json::value_t::string).get<std::string>();
  expects<FormatError>(!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
                           name.find('\0') == std::string::npos,
                       "read_emission_set: \"file\" is ", printable(name), ", expected a name without a folder");
  return name;
}

std::size_t frames_of(const EmissionSet& set) {
  return set.utterances.empty() ? 0 : set.utterances.back().first + set.utterances.back().frames;
}

}  // namespace

EmissionSet read_emission_set_index(std::istream& in) {
  Json file;
  try {
    file = Json::parse(in);
  } catch (const Json::exception& e) {
    throw FormatError(mpp::text("read_emission_set: set.json is not JSON: ", e.what()));
  }
  EmissionSet set;
  for (const Json& token : member(file, "tokens", Json::value_t::array)) {
    expects<FormatError>(token.is_string(), "read_emission_set: a token is a ", token.type_name(), ", expected text");
    set.tokens.push_back(token.get<std::string>());
  }
  expects<FormatError>(!set.tokens.empty(), "read_emission_set: \"tokens\" is empty");
  set.blank = number(file, "blank", 0, set.tokens.size() - 1);
  set.separator = number(file, "separator", 0, set.tokens.size() - 1);
  set.frame_ms = number(file, "frame_ms", 1, 1000);
  for (const Json& one : member(file, "utterances", Json::value_t::array)) {
    const std::size_t first = frames_of(set);
    set.utterances.push_back({.text = member(one, "text", Json::value_t::string).get<std::string>(),
                              .frames = number(one, "frames", 1, most_frames - first),
                              .first = first});
  }
  expects<FormatError>(!set.utterances.empty(), "read_emission_set: \"utterances\" is empty");
  for (const Json& one : member(file, "conditions", Json::value_t::array))
    set.conditions.push_back({.name = member(one, "name", Json::value_t::string).get<std::string>(),
                              .file = plain_name(one),
                              .emissions = {}});
  expects<FormatError>(!set.conditions.empty(), "read_emission_set: \"conditions\" is empty");
  return set;
}

EmissionSet read_emission_set(const std::filesystem::path& folder) {
  std::ifstream in = open_file(folder / "set.json", "read_emission_set");
  EmissionSet set = read_emission_set_index(in);
  for (EmissionSet::Condition& condition : set.conditions) {
    const EmissionMatrix rounded = read_emissions_csv(folder / condition.file);
    expects<FormatError>(rounded.frames == frames_of(set) && rounded.tokens == set.tokens.size(),
                         "read_emission_set: ", printable(condition.file), " has ", rounded.frames, " x ",
                         rounded.tokens, " values, expected frames x tokens = ", frames_of(set), " x ",
                         set.tokens.size());
    condition.emissions = log_softmax(rounded);
  }
  return set;
}

Emissions EmissionSet::emissions(std::size_t condition, std::size_t utterance) const {
  const Utterance& u = utterances[utterance];
  const std::span all(conditions[condition].emissions.log_probs);
  return {all.subspan(u.first * tokens.size(), u.frames * tokens.size()), u.frames, tokens.size(), blank};
}

std::string EmissionSet::text(std::span<const std::uint32_t> labels) const {
  std::string out;
  for (const std::uint32_t label : labels) out += label == separator ? " " : tokens[label];
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace mpp::speech
