// monoquant's own file: docs/ir_format.md. The only output that holds every
// dtype, and the only one that may leave payload where it is.

#ifndef MONOQUANT_EXPORTERS_MQIR_H_
#define MONOQUANT_EXPORTERS_MQIR_H_

#include <memory>
#include <vector>

#include "exporters/exporter.h"
#include "ir/mqir_writer.h"

namespace monoquant {

// Holds all payload itself.
const Exporter& MqirExporter();

// Leaves the payload of `links` in the files that they name. It is read all the
// same, for its checksums, but not written: the file is as large as its index
// and whatever is not linked.
std::unique_ptr<Exporter> MakeLinkingMqirExporter(std::vector<MqirLink> links);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_MQIR_H_
