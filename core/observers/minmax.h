// "minmax": the scale covers the smallest and the largest value.
//
// What torch's MinMaxObserver and PerChannelMinMaxObserver do. No value is
// clipped, so the largest error is half a step; one outlier costs all others
// their precision.

#ifndef MONOQUANT_CORE_OBSERVERS_MINMAX_H_
#define MONOQUANT_CORE_OBSERVERS_MINMAX_H_

#include "core/observers/observer.h"

namespace monoquant {

extern const ObserverRow kMinMaxObserver;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_OBSERVERS_MINMAX_H_
