#include "exporters/mqir.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

class Mqir : public Exporter {
 public:
  explicit Mqir(std::vector<MqirLink> links) : links_(std::move(links)) {}

  absl::string_view name() const override { return "mqir"; }

  absl::StatusOr<FileLayout> Layout(const Manifest& manifest) const override {
    MQ_ASSIGN_OR_RETURN(MqirLayout mqir, LayoutMqir(manifest, links_));
    FileLayout layout;
    layout.file_size = mqir.file_size;
    layout.offsets = std::move(mqir.offsets);
    layout.elsewhere.resize(manifest.tensors.size());
    for (const MqirLink& link : links_) layout.elsewhere[link.tensor] = true;
    return layout;
  }

  absl::Status WriteIndex(const Manifest& manifest, const FileLayout& layout,
                          absl::Span<const uint32_t> crc32,
                          ByteSink& sink) const override {
    const MqirLayout mqir = {.file_size = layout.file_size,
                             .offsets = layout.offsets};
    MQ_ASSIGN_OR_RETURN(const std::string head,
                        BuildMqirHeadAndIndex(manifest, mqir, crc32, links_));
    return sink.WriteAt(
        0, absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(head.data()),
                               head.size()));
  }

 private:
  const std::vector<MqirLink> links_;
};

}  // namespace

const Exporter& MqirExporter() {
  static const Exporter* const exporter = new Mqir({});
  return *exporter;
}

std::unique_ptr<Exporter> MakeLinkingMqirExporter(std::vector<MqirLink> links) {
  return std::make_unique<Mqir>(std::move(links));
}

}  // namespace monoquant
