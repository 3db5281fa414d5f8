// A level adds bytes; a tier that counts them in a signed number could add fewer than none.
// expect: tier\.increment
#include <mpp/core/control/tier.hpp>

struct SignedTier : mpp::ArchetypeTier {
#ifdef MPP_BROKEN
  long increment(const Request&, const State&, mpp::Level) const;
#else
  mpp::Footprint increment(const Request&, const State&, mpp::Level) const;
#endif
};
template <mpp::Tier T>
void serve() {}
void all() { serve<SignedTier>(); }
