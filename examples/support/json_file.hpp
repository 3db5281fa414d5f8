#pragma once
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include <mpp/core/error.hpp>

namespace mpp::examples {

/// @throws std::runtime_error if the file cannot be written
inline void write_json(const std::string& file, const nlohmann::json& figures) {
  std::ofstream out(file);
  out << figures.dump(2) << '\n';
  out.close();
  expects<std::runtime_error>(out.good(), "--json: ", file, " cannot be written");
}

}  // namespace mpp::examples
