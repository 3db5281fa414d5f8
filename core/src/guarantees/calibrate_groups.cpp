#include <mpp/core/guarantees/calibrate.hpp>

namespace mpp::guarantees {
namespace {

std::map<std::string, std::vector<std::size_t>> members(const char* operation, std::span<const std::string> groups,
                                                        std::size_t requests) {
  expects<ShapeError>(groups.size() == requests && requests > 0, operation, ": ", requests, " requests in ",
                      groups.size(), " groups' names, expected one name per request and at least one");
  std::map<std::string, std::vector<std::size_t>> members;
  for (std::size_t i = 0; i < groups.size(); ++i) members[groups[i]].push_back(i);
  return members;
}

// Calibrates one group; its errors name it.
template <class Calibrate>
auto within_group(const std::string& group, Calibrate calibrate) {
  try {
    return calibrate();
  } catch (const CalibrationSizeError& error) {
    throw CalibrationSizeError(text("group '", group, "': ", error.what()), error.needed);
  } catch (const ValueError& error) {
    throw ValueError(text("group '", group, "': ", error.what()));
  }
}

}  // namespace

std::map<std::string, PolicyCalibration> calibrate_policy(std::span<const double> losses,
                                                          std::span<const double> thresholds,
                                                          std::span<const std::string> groups,
                                                          const PolicyClaim& claim) {
  expects<ShapeError>(losses.size() == thresholds.size() * groups.size(), "calibrate_policy: ", losses.size(),
                      " losses, expected [", thresholds.size(), ", ", groups.size(), "]");
  std::map<std::string, PolicyCalibration> results;
  for (const auto& [group, requests] : members("calibrate_policy", groups, groups.size())) {
    std::vector<double> own;
    own.reserve(thresholds.size() * requests.size());
    for (std::size_t j = 0; j < thresholds.size(); ++j)
      for (const std::size_t i : requests) own.push_back(losses[j * groups.size() + i]);
    results.emplace(group, within_group(group, [&] { return calibrate_policy(own, thresholds, claim); }));
  }
  return results;
}

std::map<std::string, RatioCalibration> calibrate_ratio(std::span<const double> scores,
                                                        std::span<const std::string> groups, const RatioClaim& claim) {
  std::map<std::string, RatioCalibration> results;
  for (const auto& [group, requests] : members("calibrate_ratio", groups, scores.size())) {
    std::vector<double> own;
    own.reserve(requests.size());
    for (const std::size_t i : requests) own.push_back(scores[i]);
    results.emplace(group, within_group(group, [&] { return calibrate_ratio(own, claim); }));
  }
  return results;
}

}  // namespace mpp::guarantees
