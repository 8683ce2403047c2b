// Checkpoints written through a transaction, and what a directory holds before and after.
#ifndef FASTCKPT_TESTS_CPP_SAVED_CHECKPOINT_H_
#define FASTCKPT_TESTS_CPP_SAVED_CHECKPOINT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "commit/transaction.h"
#include "harness.h"
#include "io/file_system.h"

namespace fastckpt::testing {

// Content that differs from seed to seed: one tensor in each shard, and a companion.
struct CheckpointSpec {
  std::uint64_t seed = 0;
  std::int32_t num_shards = 1;
  bool sync = true;
  bool has_companion = true;
};

// Writes shards, companion and index into an open transaction; returns the settled total.
std::int32_t Fill(commit::Transaction* transaction, const CheckpointSpec& spec);
// The whole way, from Begin to Commit; returns the settled total.
std::int32_t Save(const std::string& prefix, const CheckpointSpec& spec,
                  io::FileSystem& file_system = io::FileSystem::Posix());

// Fails unless a reader finds this checkpoint, whole and no other, at the prefix.
void CheckSaved(const std::string& prefix, const CheckpointSpec& spec);

// Every file below a directory by its relative name, with its content; directories end in "/".
using Snapshot = std::map<std::string, std::string>;
Snapshot TakeSnapshot(const std::string& directory);
// The names in it, each followed by a space.
std::string Names(const Snapshot& snapshot);

// The prefix "ck" in the test's directory, what stands there, and a transaction on it.
std::string Prefix();
std::string NamesThere();
std::unique_ptr<commit::Transaction> Begin();

bool Contains(const std::string& text, const std::string& part);

// The message of what is thrown, after checking its code; fails when nothing is.
template <typename Action>
std::string MessageOf(ErrorCode code, Action action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK_EQ(static_cast<int>(error.code()), static_cast<int>(code));
    return error.message();
  }
  Fail(__FILE__, __LINE__, "no error");
}

}  // namespace fastckpt::testing

#endif  // FASTCKPT_TESTS_CPP_SAVED_CHECKPOINT_H_
