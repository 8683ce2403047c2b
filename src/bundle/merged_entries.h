// The entries of several indexes on their way into one.
#ifndef FASTCKPT_BUNDLE_MERGED_ENTRIES_H_
#define FASTCKPT_BUNDLE_MERGED_ENTRIES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "bundle/entry.h"
#include "bundle/partitions.h"
#include "io/large_allocator.h"
#include "tensor/shape.h"

namespace fastckpt::bundle {

// An entry as an index has it, and what DecodeEntry makes of it; all of it is borrowed.
struct InputEntry {
  std::string_view key;
  ByteView message;
  const EntryFields& fields;
  tensor::ShapeView shape;
  std::span<const coding::Extent> extents;
};

// About 24 bytes an entry beside key and message. Inputs are numbered from 0; their prefixes stand
// in messages only.
class MergedEntries {
 public:
  explicit MergedEntries(const std::vector<std::string>& prefixes) : prefixes_(prefixes) {}

  // Inputs come one behind the other, the entries of each in key order. An entry that lists slices
  // of a tensor that an input before it lists others of adds them to that one: true then. Throws
  // DataLoss when slices do not fit their tensor, InvalidArgument when the inputs do not agree on
  // it.
  bool TakeSlices(std::uint32_t input, const InputEntry& entry);
  // All other entries, with the shard id that they shall have.
  void Add(std::uint32_t input, const InputEntry& entry, std::int32_t shard_id);

  // Brings the entries into key order. Throws InvalidArgument, naming tensor and prefixes, when two
  // have one key or slices of a tensor overlap, or, with `complete`, leave elements out.
  void Finish(bool complete);
  // Gives the bytes of an index to `write`, in order; after Finish.
  void Write(const std::string& header, const std::function<void(ByteView)>& write) const;

  std::size_t size() const { return rows_.size(); }
  // Memory in use, nearly.
  std::uint64_t used_bytes() const { return used_bytes_; }

 private:
  // Key and message lie one behind the other.
  struct Row {
    const char* text;
    std::uint32_t key_size;
    std::uint32_t message_size;
    std::uint32_t input;
    std::uint32_t sliced;  // index into sliced_, or kWhole

    std::string_view key() const { return {text, key_size}; }
    std::string_view message() const { return {text + key_size, message_size}; }
  };
  static constexpr std::uint32_t kWhole = 0xFFFFFFFF;

  // A tensor of which slices are listed. Its message is complete when all inputs are through.
  struct Sliced {
    std::string message;
    Partitioned tensor;
    // The input that lists it, for each slice.
    std::vector<std::uint32_t> inputs;
  };

  const char* Store(std::string_view key, std::string_view message);
  void AddSliced(std::uint32_t input, const InputEntry& entry, std::int32_t shard_id);
  void Extend(Sliced* sliced, std::uint32_t input, const InputEntry& entry);
  void CheckAgreement(const Sliced& sliced, std::uint32_t input, const InputEntry& entry) const;
  void MergeRuns();
  void CheckKeys() const;
  void CheckSlices(const std::string& name, const Sliced& sliced, bool complete) const;
  [[noreturn]] void ThrowOverlap(const std::string& name, const Sliced& sliced,
                                 const std::vector<tensor::Box>& boxes) const;
  std::string Both(std::uint32_t first, std::uint32_t second) const;

  const std::vector<std::string>& prefixes_;
  // Blocks of text, filled one after the other.
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t block_left_ = 0;
  char* block_end_ = nullptr;
  std::vector<Row, io::LargeAllocator<Row>> rows_;
  // Where the rows of each input begin.
  std::vector<std::size_t> runs_;
  std::vector<Sliced> sliced_;
  std::unordered_map<std::string, std::uint32_t> sliced_by_name_;
  // Kept for their memory.
  std::string message_;
  std::string canonical_;
  std::uint64_t used_bytes_ = 0;
};

}  // namespace fastckpt::bundle

#endif  // FASTCKPT_BUNDLE_MERGED_ENTRIES_H_
