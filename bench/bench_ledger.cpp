// What does it cost to reserve bytes and to give them back? Alone, three accounts deep, and when two threads want the
// same counter at once. One operation is a Reservation made, grown in one space and destroyed.
#include <barrier>
#include <thread>
#include <vector>

#include <mpp/core/memory/ledger.hpp>
#include <mpp/core/memory/reservation.hpp>

#include "bench_json.hpp"
#include "support/allocation_counter.hpp"

namespace {

using namespace mpp;

const Footprint capacity = Footprint::host(Bytes{1 << 20});
const Footprint bytes = Footprint::host(Bytes{64});

// Out of line, so that the loop measures calls as a scheduler makes them.
[[gnu::noinline]] bool reserve_and_release(Account account) {
  Reservation r(account);
  return !r.try_grow(bytes);
}

void reserve_and_release(Account account, int times) {
  for (int i = 0; i < times; ++i)
    expects<std::logic_error>(reserve_and_release(account), "bench_ledger: a reserve was denied");
}

/// Nanoseconds per operation of every repetition.
std::vector<double> alone(Account account, int repetitions, int times) {
  std::vector<double> samples;
  reserve_and_release(account, times);  // warm-up
  for (int i = 0; i < repetitions; ++i) {
    const bench::Stopwatch watch;
    reserve_and_release(account, times);
    samples.push_back(watch.nanoseconds() / times);
  }
  return samples;
}

/// The same, per thread, while `threads` threads use the same account. The slowest thread sets the time.
std::vector<double> contended(Account account, int threads, int repetitions, int times) {
  std::vector<double> samples;
  for (int i = 0; i < repetitions; ++i) {
    std::barrier together(threads);
    std::vector<double> seconds(static_cast<std::size_t>(threads));
    std::vector<std::thread> pool;
    for (double& mine : seconds)
      pool.emplace_back([&] {
        together.arrive_and_wait();
        const bench::Stopwatch watch;
        reserve_and_release(account, times);
        mine = watch.seconds();
      });
    for (std::thread& thread : pool) thread.join();
    samples.push_back(*std::max_element(seconds.begin(), seconds.end()) * 1e9 / times);
  }
  return samples;
}

// Before anything is timed: the ledger grants, denies and gets its bytes back as it should.
void check(Ledger& ledger, Account leaf) {
  Reservation r(leaf);
  expects<std::logic_error>(!r.try_grow(capacity), "bench_ledger: an empty ledger denied its capacity");
  expects<std::logic_error>(!reserve_and_release(leaf), "bench_ledger: a full ledger granted bytes");
  r.shrink(capacity);
  expects<std::logic_error>(ledger.root().committed().empty() && leaf.peak() == capacity,
                            "bench_ledger: wrong counters");
}

}  // namespace

int main(int argc, char** argv) {
  bench::Report report("ledger", "Cost of reserving bytes and giving them back");
  if (const auto exit_code = report.parse(argc, argv)) return *exit_code;
  const int repetitions = report.quick() ? 25 : 101;
  const int times = report.quick() ? 200'000 : 1'000'000;

  Ledger ledger(capacity);
  const Account leaf = ledger.open(ledger.open(ledger.root(), "tenant"), "worker");
  check(ledger, leaf);

  report.spread("ledger.reserve_release_ns", alone(ledger.root(), repetitions, times));
  report.spread("ledger.reserve_release_depth3_ns", alone(leaf, repetitions, times));
  // Always long: a repetition shorter than a time slice may run one thread after the other and show no contention.
  report.spread("ledger.reserve_release_contended2_ns", contended(ledger.root(), 2, repetitions, 1'000'000));
  if (testing_support::counts_allocations) {
    const auto before = testing_support::allocations;
    reserve_and_release(leaf, times);
    report.set("ledger.allocations_per_reserve", static_cast<double>(testing_support::allocations - before) / times);
  }
  report.set("ledger.bytes_left", static_cast<double>(ledger.root().committed().total().count));
  return report.finish();
}
