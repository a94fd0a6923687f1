// Keeps what was used last.

#ifndef MONOQUANT_FRONTENDS_DCP_LRU_CACHE_H_
#define MONOQUANT_FRONTENDS_DCP_LRU_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace monoquant {

// Values by number, as many as fit the budget. Thread-safe.
template <typename T>
class LruCache {
 public:
  using Value = std::shared_ptr<T>;

  explicit LruCache(uint64_t budget) : budget_(budget) {}

  // The value for `key`, made by `make` if it is not at hand and kept if its
  // cost is within the budget. Who got a value may use it when it is no longer
  // kept. `make` runs without the lock, so that threads do not wait for each
  // other's files; two may make the same value.
  absl::StatusOr<Value> Get(size_t key, uint64_t cost,
                            absl::FunctionRef<absl::StatusOr<Value>()> make) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const auto it = places_.find(key);
      if (it != places_.end()) {
        slots_.splice(slots_.begin(), slots_, it->second);
        return it->second->value;
      }
    }
    absl::StatusOr<Value> value = make();
    if (value.ok() && cost <= budget_) {
      std::lock_guard<std::mutex> lock(mutex_);
      Keep(key, cost, *value);
    }
    return value;
  }

 private:
  struct Slot {
    size_t key;
    uint64_t cost;
    Value value;
  };

  void Keep(size_t key, uint64_t cost, Value value) {
    if (places_.contains(key)) return;
    while (cost_ + cost > budget_) {
      cost_ -= slots_.back().cost;
      places_.erase(slots_.back().key);
      slots_.pop_back();
    }
    slots_.push_front({key, cost, std::move(value)});
    places_[key] = slots_.begin();
    cost_ += cost;
  }

  const uint64_t budget_;
  std::mutex mutex_;
  std::list<Slot> slots_;  // the one used last comes first
  absl::flat_hash_map<size_t, typename std::list<Slot>::iterator> places_;
  uint64_t cost_ = 0;  // of all slots
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_LRU_CACHE_H_
