#pragma once
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <mpp/core/guarantees/record.hpp>

namespace mpp::guarantees {

/// The ids with their names in JSON and in errors, in the order in which they are written.
inline constexpr std::array<std::pair<std::string_view, std::string PolicyIds::*>, 6> id_fields{{
    {"model", &PolicyIds::model},
    {"kernel", &PolicyIds::kernel},
    {"estimator", &PolicyIds::estimator},
    {"policy", &PolicyIds::policy},
    {"workload", &PolicyIds::workload},
    {"service_class", &PolicyIds::service_class},
}};

}  // namespace mpp::guarantees
