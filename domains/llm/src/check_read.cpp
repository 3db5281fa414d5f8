#include "mpp/core/error.hpp"
#include "page_terms.hpp"

namespace mpp::llm {
namespace {

bool amount(double x) noexcept { return x >= 0.0 && x < infinity; }  // false for NaN
bool share(double x) noexcept { return x >= 0.0 && x < 1.0; }

void check_rounding(const AttentionRounding& rounding, const char* operation) {
  expects<ValueError>(share(rounding.mass.relative), operation, ": rounding.mass.relative is ", rounding.mass.relative,
                      ", expected a number in [0, 1)");
  expects<ValueError>(share(rounding.energy.relative), operation, ": rounding.energy.relative is ",
                      rounding.energy.relative, ", expected a number in [0, 1)");
  expects<ValueError>(amount(rounding.mass.absolute), operation, ": rounding.mass.absolute is ", rounding.mass.absolute,
                      ", expected a finite number >= 0");
  expects<ValueError>(amount(rounding.energy.absolute), operation, ": rounding.energy.absolute is ",
                      rounding.energy.absolute, ", expected a finite number >= 0");
  expects<ValueError>(amount(rounding.log_sum_exp), operation, ": rounding.log_sum_exp is ", rounding.log_sum_exp,
                      ", expected a finite number >= 0");
  expects<ValueError>(amount(rounding.output), operation, ": rounding.output is ", rounding.output,
                      ", expected a finite number >= 0");
}

}  // namespace

void check_read(const AttentionRead& read, const char* operation) {
  check_rounding(read.rounding, operation);
  expects<ValueError>(!read.pages.empty(), operation, ": pages is empty, expected at least one page");
  expects<ValueError>(std::isfinite(read.log_sum_exp), operation, ": log_sum_exp is ", read.log_sum_exp,
                      ", expected a finite number");
  expects<ValueError>(amount(read.output_norm), operation, ": output_norm is ", read.output_norm,
                      ", expected a finite number >= 0");
  const TrueRange masses(read.rounding.mass);
  double least = 0.0, most = 0.0;
  for (std::size_t i = 0; i < read.pages.size(); ++i) {
    const AttentionPage& page = read.pages[i];
    expects<ValueError>(amount(page.mass), operation, ": pages[", i, "].mass is ", page.mass,
                        ", expected a finite number >= 0");
    expects<ValueError>(page.radius >= 0.0, operation, ": pages[", i, "].radius is ", page.radius,
                        ", expected a number >= 0");
    expects<ValueError>(amount(page.energy), operation, ": pages[", i, "].energy is ", page.energy,
                        ", expected a finite number >= 0");
    expects<ValueError>(page.residual >= 0.0, operation, ": pages[", i, "].residual is ", page.residual,
                        ", expected a number >= 0");
    expects<ValueError>(page.spread >= 0.0, operation, ": pages[", i, "].spread is ", page.spread,
                        ", expected a number >= 0");
    expects<ValueError>(page.value_spread >= 0.0, operation, ": pages[", i, "].value_spread is ", page.value_spread,
                        ", expected a number >= 0");
    expects<ValueError>(page.heaviest > 0.0 || (page.heaviest == 0.0 && masses.smallest(page.mass) == 0.0), operation,
                        ": pages[", i, "].heaviest is ", page.heaviest, ", expected a number > 0 beside a mass of ",
                        page.mass);
    least += masses.smallest(page.mass);
    most = sum_up(most, masses.largest(page.mass));
  }
  // Masses that do not add up belong to another read or to a kernel with a defect: no bound may rest on them. The slack is
  // this function's own rounding, a unit per page and operation.
  const double slack = 0x1p-50 * static_cast<double>(read.pages.size() + 4);
  expects<ValueError>(least <= 1.0 + slack && most >= 1.0 - slack, operation,
                      ": the masses of all pages add up to between ", least, " and ", most,
                      ", expected 1 within rounding.mass");
  for (std::size_t i = 0; i < read.omitted.size(); ++i) {
    const OmittedPage& page = read.omitted[i];
    expects<ValueError>(!std::isnan(page.logit), operation, ": omitted[", i, "].logit is NaN, expected a number");
    expects<ValueError>(amount(page.value_norm), operation, ": omitted[", i, "].value_norm is ", page.value_norm,
                        ", expected a finite number >= 0");
  }
}

}  // namespace mpp::llm
