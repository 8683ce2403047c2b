// One decoded block: prefix-compressed entries, then the restart array.
#ifndef FASTCKPT_TABLE_BLOCK_H_
#define FASTCKPT_TABLE_BLOCK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "coding/varint.h"

namespace fastckpt::table {

// Walks the entries of a block in order. The block outlives the cursor; key() is valid until the
// next Next(), value() as long as the block.
//
//   for (BlockCursor cursor(block); cursor.Next();) …   then   if (!cursor.ok()) …
//   if (cursor.Seek(key) && cursor.key() == key) …
class BlockCursor {
 public:
  explicit BlockCursor(ByteView block);

  // Moves to the next entry. False at the end and at a malformed entry; ok() tells which.
  bool Next() {
    if (p_ == end_) return false;
    std::uint32_t shared, unshared, value_size;
    const std::uint8_t* p = ReadSizes(&shared, &unshared, &value_size);
    if (p == nullptr || shared > key_.size() ||
        std::uint64_t{unshared} + value_size > static_cast<std::uint64_t>(end_ - p)) {
      return Fail();
    }
    key_.resize(shared);
    key_.append(reinterpret_cast<const char*>(p), unshared);
    value_ = ByteView(p + unshared, value_size);
    p_ = p + unshared + value_size;
    return true;
  }

  // Moves to the first entry whose key is not less than `target`, from wherever the cursor stands:
  // a binary search over the restarts, then at most one interval of entries. False when there is
  // none and at a malformed entry; keys that are out of order may be missed.
  bool Seek(std::string_view target);

  bool ok() const { return ok_; }
  std::string_view key() const { return key_; }
  ByteView value() const { return value_; }

 private:
  const std::uint8_t* ReadSizes(std::uint32_t* shared, std::uint32_t* unshared,
                                std::uint32_t* value_size) const {
    if (end_ - p_ >= 3 && (p_[0] | p_[1] | p_[2]) < 0x80) {
      *shared = p_[0];
      *unshared = p_[1];
      *value_size = p_[2];
      return p_ + 3;
    }
    const std::uint8_t* p = coding::DecodeVarint32(p_, end_, shared);
    if (p != nullptr) p = coding::DecodeVarint32(p, end_, unshared);
    if (p != nullptr) p = coding::DecodeVarint32(p, end_, value_size);
    return p;
  }
  bool Fail() {
    ok_ = false;
    p_ = end_;
    return false;
  }
  // Moves to the entry at a restart; false when it is malformed.
  bool GoToRestart(std::uint32_t i);

  const std::uint8_t* begin_;
  const std::uint8_t* p_;
  const std::uint8_t* end_;
  // The restart array follows the entries.
  std::uint32_t num_restarts_ = 0;
  std::string key_;
  ByteView value_;
  bool ok_ = true;
};

}  // namespace fastckpt::table

#endif  // FASTCKPT_TABLE_BLOCK_H_
