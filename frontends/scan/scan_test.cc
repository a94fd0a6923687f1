// Guards: that every pickle is found wherever it hides, in sound and in broken
// files; what the verdict is; where things are; and that no file crashes a scan
// or makes it long.

#include "frontends/scan/scan.h"

#include <zlib.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/zip_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"

namespace monoquant {
namespace {

using ::testing::HasSubstr;
using testing::PickleBuilder;
using testing::ZipBuilder;
using testing::ZipMember;

// A literal that may hold zeros.
template <size_t kSize>
std::string Bytes(const char (&literal)[kSize]) {
  return std::string(literal, kSize - 1);
}

const char kEvil[] = "cos\nsystem\n(S'id'\ntR.";

std::string EvilProtocol2() {
  return PickleBuilder()
      .Global("os", "system")
      .Mark()
      .Str("id")
      .Tuple()
      .Reduce()
      .Build();
}

std::string Weights() {
  return PickleBuilder()
      .OrderedDict()
      .Str("w")
      .Tensor("FloatStorage", "0", 1, 0, {1}, {1})
      .Op(PickleOp::kSetItem)
      .Build();
}

ScanReport Scan(std::string bytes, const ScanLimits& limits = {}) {
  const auto report = ScanCheckpoint(
      InMemoryFiles("model.pt", {{"model.pt", std::move(bytes)}}), limits);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : ScanReport();
}

std::string VerdictOf(std::string bytes) {
  return std::string(ScanVerdictName(Scan(std::move(bytes)).verdict));
}

// "where > where: finding; finding" of each pickle with findings.
std::string Findings(const ScanReport& report) {
  std::string text;
  for (const ScannedPickle& pickle : report.pickles) {
    if (pickle.findings.empty()) continue;
    text += absl::StrCat(text.empty() ? "" : "\n",
                         absl::StrJoin(pickle.where, " > "), ": ",
                         pickle.findings[0].what);
  }
  return text;
}

std::string Problems(const ScanReport& report) {
  std::string text;
  for (const ScanProblem& problem : report.problems) {
    text += problem.what + "\n";
  }
  return text;
}

std::string Deflated(const std::string& bytes, int window_bits) {
  z_stream z = {};
  EXPECT_EQ(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, 0), Z_OK);
  std::string out(deflateBound(&z, bytes.size()) + 64, '\0');
  std::string in = bytes;
  z.next_in = reinterpret_cast<uint8_t*>(in.data());
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = reinterpret_cast<uint8_t*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return out;
}

std::string TarMember(const std::string& name, const std::string& bytes) {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  char size[12];
  std::snprintf(size, sizeof(size), "%011o",
                static_cast<unsigned>(bytes.size()));
  header.replace(124, 11, size);
  header.replace(257, 5, "ustar");
  std::string padded = bytes;
  padded.resize((bytes.size() + 511) / 512 * 512, '\0');
  return header + padded;
}

TEST(ScanTest, Verdicts) {
  EXPECT_EQ(VerdictOf(""), "safe");
  EXPECT_EQ(VerdictOf(Weights()), "safe");
  EXPECT_EQ(VerdictOf("cm\nf\n)R."), "unknown globals");
  EXPECT_EQ(VerdictOf("}S'f'\ncos\nsystem\ns."), "suspicious");
  EXPECT_EQ(VerdictOf("\x80\x02}"), "malformed");
  EXPECT_EQ(VerdictOf(kEvil), "dangerous");
  // Not pickles, whatever their letters mean to one.
  EXPECT_EQ(VerdictOf("import torch\nclass Net:\n  pass\n"), "safe");
  EXPECT_EQ(VerdictOf("certifi\ncharset-normalizer\nidna\n"), "safe");
  EXPECT_EQ(VerdictOf("(c) 2020 The authors\nAll rights reserved.\n"), "safe");
  EXPECT_EQ(VerdictOf(Bytes("\x02\0\0\0\0\0\0\0{}")), "safe");
  EXPECT_EQ(VerdictOf(Bytes("\x80\x02\0\0\0\0\0\0{")), "safe");
  EXPECT_EQ(VerdictOf(ZipBuilder()
                          .Add("m/data.pkl", Weights())
                          .Add("__MACOSX/._data.pkl", Bytes("\0\x05\x16\x07"))
                          .Build()),
            "safe");
  EXPECT_EQ(VerdictOf(Bytes("\x83\0\0\0\0\0\0\0{")), "safe");
  EXPECT_EQ(VerdictOf("(I1\nI2\no.more"), "safe");
  EXPECT_EQ(VerdictOf(Bytes("GGUF\x03\0\0\0")), "safe");
}

TEST(ScanTest, SaysWhatItFoundAndWhere) {
  const ScanReport report = Scan(EvilProtocol2());
  ASSERT_EQ(report.pickles.size(), 1);
  const ScannedPickle& pickle = report.pickles[0];
  EXPECT_TRUE(pickle.where.empty());
  EXPECT_EQ(pickle.offset, 0);
  EXPECT_EQ(pickle.bytes, EvilProtocol2().size());
  EXPECT_EQ(pickle.protocol, 2);
  EXPECT_EQ(pickle.instructions, 7);
  EXPECT_EQ(pickle.malformed, "");
  ASSERT_EQ(pickle.globals.size(), 1);
  EXPECT_EQ(pickle.globals[0].mentions.positions, std::vector<uint32_t>{2});
  ASSERT_EQ(pickle.findings.size(), 1);
  EXPECT_EQ(pickle.findings[0].what, "calls 'os.system'");
  EXPECT_EQ(pickle.findings[0].position, pickle.bytes - 2);
}

TEST(ScanTest, EveryPickleInARow) {
  const ScanReport report = Scan(Weights() + kEvil + "cm\nf\n.rest");
  ASSERT_EQ(report.pickles.size(), 3);
  EXPECT_EQ(report.pickles[1].offset, Weights().size());
  EXPECT_EQ(report.pickles[1].verdict, ScanVerdict::kDangerous);
  EXPECT_EQ(report.pickles[2].verdict, ScanVerdict::kUnknownGlobals);
  EXPECT_EQ(report.verdict, ScanVerdict::kDangerous);
  // The five of a stream of old torch, and its storages.
  const std::string stream =
      Bytes("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.") +
      Bytes("\x80\x02M\xe9\x03.") + Bytes("\x80\x02}.") + EvilProtocol2() +
      Bytes(
          "\x80\x02]U\x01"
          "0a.") +
      Bytes("\x01\0\0\0\0\0\0\0abcd");
  EXPECT_EQ(Scan(stream).pickles.size(), 5);
  EXPECT_EQ(VerdictOf(stream), "dangerous");
}

TEST(ScanTest, PicklesThatBreakOff) {
  // What was called before is reported, and where it ended.
  const ScanReport report = Scan("cos\nsystem\n)R\xff");
  EXPECT_EQ(report.verdict, ScanVerdict::kDangerous);
  EXPECT_THAT(report.pickles[0].malformed,
              HasSubstr("byte 13: no instruction"));
  EXPECT_EQ(VerdictOf("I1_0\n0cos\nsystem\n)R."), "dangerous");
  EXPECT_EQ(VerdictOf(Bytes("\x80\x02X\xff\xff\0\0")), "malformed");
}

TEST(ScanTest, PicklesBeyondTheFirstWindow) {
  // 1 MiB of text before the call.
  const std::string text = "V" + std::string(1 << 20, 'x') + "\n0";
  EXPECT_EQ(VerdictOf(text + kEvil), "dangerous");
}

TEST(ScanTest, MembersOfArchives) {
  const ScanReport report = Scan(ZipBuilder()
                                     .Add("m/data.pkl", Weights())
                                     .Add("m/data/0", "abcd")
                                     .Add("m/extra.pkl", kEvil)
                                     .Add("m/evil", EvilProtocol2())
                                     .Add("m/text", "cos\nsystem\n)R.")
                                     .Build());
  EXPECT_EQ(Findings(report),
            "m/extra.pkl: calls 'os.system'\nm/evil: calls 'os.system'");
  EXPECT_EQ(report.pickles.size(), 3);
  EXPECT_EQ(Problems(report), "");
  // "PK...", read as a pickle, goes on behind the next line end.
  EXPECT_EQ(Scan(ZipBuilder().Add("m/data.pkl", "cm\nNet\n)\x81.").Build())
                .pickles.size(),
            1);
  // A storage that begins like a pickle is none.
  EXPECT_EQ(VerdictOf(ZipBuilder()
                          .Add("m/data.pkl", Weights())
                          .Add("m/data/0", Bytes("\x80\x02\xff\xff"))
                          .Build()),
            "safe");
}

TEST(ScanTest, CompressedMembers) {
  ZipBuilder zip;
  zip.Add("m/data.pkl", Weights());
  zip.Add("m/a", EvilProtocol2());
  zip.members[1].deflate = true;
  EXPECT_EQ(Findings(Scan(zip.Build())), "m/a: calls 'os.system'");
}

TEST(ScanTest, ArchivesInArchives) {
  const std::string inner = ZipBuilder().Add("i/data.pkl", kEvil).Build();
  ZipBuilder zip;
  zip.Add("o/model.pt", inner);
  EXPECT_EQ(Findings(Scan(zip.Build())),
            "o/model.pt > i/data.pkl: calls 'os.system'");
  zip.members[0].deflate = true;
  EXPECT_EQ(Findings(Scan(zip.Build())),
            "o/model.pt > i/data.pkl: calls 'os.system'");
  // Deeper than anybody packs is a problem, not an all-clear.
  const std::string twice = ZipBuilder().Add("p/a.pt", zip.Build()).Build();
  const ScanReport report = Scan(twice);
  EXPECT_GE(report.verdict, ScanVerdict::kMalformed);
}

// The strict reader refuses these; other programs read them.
TEST(ScanTest, BrokenArchivesAreScannedAllTheSame) {
  const auto broken = [](auto change) {
    ZipBuilder zip;
    zip.Add("m/data.pkl", EvilProtocol2()).Add("m/data/0", "abcd");
    change(zip);
    const ScanReport report = Scan(zip.Build());
    EXPECT_THAT(Findings(report), HasSubstr("calls 'os.system'"));
    EXPECT_THAT(Problems(report), HasSubstr("archive malformed: "));
    EXPECT_THAT(Problems(report), Not(HasSubstr("model.pt")));
  };
  // Encrypted, it says.
  broken([](ZipBuilder& zip) { zip.members[0].flags = 1; });
  // Another name in front of the member than in the directory.
  broken([](ZipBuilder& zip) { zip.members[0].local_name = "m/data.txt"; });
  // A member that lies elsewhere.
  broken([](ZipBuilder& zip) { zip.members[1].header_offset = 5; });
  broken([](ZipBuilder& zip) { zip.members[0].size = 1; });
  broken([](ZipBuilder& zip) { zip.members[1].name = "m/data.pkl"; });
  broken([](ZipBuilder& zip) { zip.entries = 7; });
  broken([](ZipBuilder& zip) { zip.directory_offset = 3; });
  // A wrong checksum is no reason to stop.
  ZipBuilder zip;
  zip.Add("m/data.pkl", EvilProtocol2());
  zip.members[0].crc32 = 1;
  EXPECT_EQ(VerdictOf(zip.Build()), "dangerous");
  // Nobody reads this, and nobody can say what is in it.
  zip.members[0].method = 12;
  EXPECT_EQ(VerdictOf(zip.Build()), "malformed");
  // Without its directory.
  const std::string whole =
      ZipBuilder().Add("m/data.pkl", EvilProtocol2()).Build();
  EXPECT_EQ(VerdictOf(whole.substr(0, 100)), "dangerous");
}

// As in the files of a distributed checkpoint.
TEST(ScanTest, ArchivesInARow) {
  const std::string good = ZipBuilder().Add("a/data.pkl", Weights()).Build();
  const std::string evil = ZipBuilder().Add("b/data.pkl", kEvil).Build();
  EXPECT_EQ(VerdictOf(good + good + good), "safe");
  const ScanReport report = Scan(good + evil + good);
  EXPECT_EQ(report.pickles.size(), 3);
  EXPECT_EQ(Problems(report), "");
  EXPECT_EQ(Findings(report), absl::StrCat("archive at ", good.size(),
                                           " > b/data.pkl: calls 'os.system'"));
  EXPECT_THAT(Problems(Scan(good + evil + good.substr(0, 50))),
              HasSubstr("archive malformed"));
}

TEST(ScanTest, ArchivesBehindOtherContent) {
  const std::string zip = ZipBuilder().Add("m/data.pkl", kEvil).Build();
  for (const std::string& before :
       {std::string("\x89PNG"), Weights(), Bytes("\x02\0\0\0\0\0\0\0{}")}) {
    const ScanReport report = Scan(before + zip);
    EXPECT_EQ(report.verdict, ScanVerdict::kDangerous);
    EXPECT_THAT(Problems(report), HasSubstr("hides behind other content"));
  }
}

TEST(ScanTest, TarArchives) {
  const std::string tar =
      TarMember("pickle", Weights()) +
      TarMember("storages", Bytes("\x80\x02K\x02.") +
                                Bytes("\x01\0\0\0\0\0\0\0abcd") +
                                EvilProtocol2()) +
      TarMember("model.pt", ZipBuilder().Add("m/data.pkl", kEvil).Build()) +
      std::string(1024, '\0');
  EXPECT_EQ(Findings(Scan(tar)),
            "storages: calls 'os.system'\n"
            "model.pt > m/data.pkl: calls 'os.system'");
  EXPECT_THAT(Problems(Scan(tar.substr(0, 600))), HasSubstr("breaks off"));
}

// The place of a pickle is its member's name: a second member of that name may
// end before the first one's pickles do.
TEST(ScanTest, TarMembersOfOneName) {
  const std::string tar = TarMember("twice", Weights() + EvilProtocol2()) +
                          TarMember("twice", "\x80\x02.") +
                          std::string(1024, '\0');
  EXPECT_EQ(Findings(Scan(tar)), "twice: calls 'os.system'");
}

TEST(ScanTest, CompressedFiles) {
  EXPECT_EQ(VerdictOf(Deflated(kEvil, MAX_WBITS + 16)), "dangerous");
  EXPECT_EQ(VerdictOf(Deflated(kEvil, MAX_WBITS)), "dangerous");
  const std::string gzip = Deflated(Weights(), MAX_WBITS + 16);
  EXPECT_EQ(VerdictOf(gzip), "safe");
  EXPECT_EQ(VerdictOf(gzip.substr(0, gzip.size() / 2)), "malformed");
  // What is not looked into is never safe.
  EXPECT_EQ(VerdictOf("7z\xBC\xAF\x27\x1C"), "malformed");
  EXPECT_THAT(Problems(Scan("BZh91AY")), HasSubstr("bzip2"));
}

TEST(ScanTest, ArraysOfObjects) {
  const auto array = [](absl::string_view dtype, const std::string& data) {
    const std::string text =
        absl::StrCat("{'descr': '", dtype, "', 'shape': (1,), }\n");
    std::string bytes = Bytes("\x93NUMPY\x01\0");
    bytes.push_back(static_cast<char>(text.size()));
    bytes.push_back('\0');
    return bytes + text + data;
  };
  EXPECT_EQ(VerdictOf(array("|O", EvilProtocol2())), "dangerous");
  EXPECT_EQ(VerdictOf(array("<f4", "abcd")), "safe");
  EXPECT_EQ(VerdictOf(ZipBuilder().Add("a.npy", array("|O", kEvil)).Build()),
            "dangerous");
}

TEST(ScanTest, PicklesThatPicklesLoad) {
  const auto loading = [](const std::string& inner) {
    std::string pickle =
        Bytes("\x80\x03") + "ctorch.storage\n_load_from_bytes\nC";
    pickle.push_back(static_cast<char>(inner.size()));
    return pickle + inner + "\x85R.";
  };
  const ScanReport report = Scan(loading(EvilProtocol2()));
  EXPECT_EQ(Findings(report), "bytes loaded at 61: calls 'os.system'");
  EXPECT_EQ(VerdictOf(loading(Weights())), "unknown globals");
  EXPECT_EQ(Scan(loading(Weights())).pickles.size(), 1);
}

TEST(ScanTest, Directories) {
  const auto report = ScanCheckpoint(InMemoryFiles(
      "dir",
      {{".metadata", EvilProtocol2()},
       {"README.md", "# A model\n"},
       {"pytorch_model.bin", ZipBuilder().Add("m/data.pkl", kEvil).Build()}}));
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->path, "dir");
  EXPECT_EQ(Findings(*report),
            ".metadata: calls 'os.system'\n"
            "pytorch_model.bin > m/data.pkl: calls 'os.system'");
}

TEST(ScanTest, LimitsArePartOfTheReport) {
  std::string many;
  for (int i = 0; i < 50; ++i) many += "cm\nf\n.";
  ScanLimits limits;
  limits.pickles = 10;
  EXPECT_EQ(Scan(many, limits).pickles.size(), 10);
  EXPECT_EQ(Scan(many, limits).verdict, ScanVerdict::kMalformed);
  limits = {};
  limits.globals = 7;
  EXPECT_EQ(Scan(many, limits).pickles[7].globals_left_out, 1);
  limits = {};
  limits.instructions = 30;
  EXPECT_EQ(Scan(many, limits).verdict, ScanVerdict::kMalformed);
  limits = {};
  limits.inflated = 4096;
  const std::string bomb = Deflated(std::string(1 << 20, '\0'), MAX_WBITS + 16);
  EXPECT_THAT(Problems(Scan(bomb, limits)), HasSubstr("limit of 4096 bytes"));
}

TEST(ScanTest, DamageNeverCrashes) {
  ZipBuilder zip;
  zip.Add("m/data.pkl", EvilProtocol2()).Add("m/b.pkl", Weights());
  zip.members[1].deflate = true;
  const std::vector<std::string> files = {
      zip.Build(), Weights() + EvilProtocol2(),
      TarMember("a", EvilProtocol2()) + std::string(1024, '\0'),
      Deflated(kEvil, MAX_WBITS + 16)};
  for (const std::string& good : files) {
    testing::ForEachTruncation(good,
                               [](std::string bad, size_t) { Scan(bad); });
    testing::ForEachChangedByte(good,
                                [](std::string bad, size_t) { Scan(bad); });
  }
}

}  // namespace
}  // namespace monoquant
