#pragma once
#include <mpp/core/control/bound.hpp>

namespace mpp::guarantees {

/// An audit whose sampling probability depends on the request: harder requests more often, say. The audited ones are then
/// not like the others, and their losses as they are prove nothing about all. Weighted ones do, if *every* released
/// request is observed, audited or not:
///
///     y = loss least / probability if it was audited, 0 if not;    mean of y = least * mean of loss,
///
/// where probability >= least is that of this request's coin, fixed before its outcome. So EProcess and ShiryaevRoberts
/// take y with weighted_allowed() in place of the allowed rate, and their times count released requests.
///
/// @param loss         in [0, 1]
/// @param probability  in [least, 1]: SamplingCoin::probability()
/// @param least        in (0, 1], fixed in advance
/// @return             in [0, 1], rounded down
/// @throws ValueError outside these domains
/// Source: Horvitz and Thompson 1952.
[[nodiscard]] double weighted_loss(double loss, double probability, double least);

/// least * allowed, rounded up by more than weighted_loss() can lose to rounding.
/// @throws ValueError unless allowed is in [min_allowed_rate, 1), least in (0, 1], and so is their product
[[nodiscard]] Delta weighted_allowed(Delta allowed, double least);

}  // namespace mpp::guarantees
