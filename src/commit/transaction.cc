#include "commit/transaction.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/error.h"
#include "commit/directories.h"
#include "commit/leftovers.h"
#include "commit/live_index.h"
#include "commit/names.h"
#include "commit/pending_file.h"
#include "commit/prefix_lock.h"
#include "io/process.h"
#include "io/system_error.h"

namespace fastckpt::commit {
namespace {

Error InvalidArgument(std::string message, const std::string& prefix) {
  return Error(ErrorCode::kInvalidArgument, std::move(message)).At(prefix);
}

// A directory of the same name is in nobody's way: the files stand beside it.
void CheckSpelling(const std::string& prefix) {
  if (prefix.empty()) throw InvalidArgument("the prefix is empty; pass a path", prefix);
  if (prefix.back() == '/') {
    throw InvalidArgument(
        "the prefix ends in a separator; pass a file name after it, such as " + prefix + "ckpt",
        prefix);
  }
  if (prefix.find('\0') != std::string::npos) {
    throw InvalidArgument("the prefix holds a NUL character", prefix);
  }
  const std::string base = prefix.substr(prefix.rfind('/') + 1);
  if (base == "." || base == "..") {
    throw InvalidArgument(
        "the prefix is a directory; pass a prefix inside it, such as " + prefix + "/ckpt", prefix);
  }
}

// Where directories are missing the system does not get as far as the last component; beside the
// nearest one that exists it does.
void CheckLength(const std::string& prefix, const std::string& existing,
                 io::FileSystem& file_system) {
  const std::string longest = DataFileName(prefix, 0, 1);
  for (const std::string& path :
       {longest, existing + "/" + longest.substr(longest.rfind('/') + 1)}) {
    io::FileStatus status;
    if (file_system.StatPath(path, &status) != -ENAMETOOLONG) continue;
    throw io::SystemError("the prefix is too long for the names of its files", prefix,
                          -ENAMETOOLONG, ErrorCode::kInvalidArgument);
  }
}

}  // namespace

struct Transaction::State {
  State(const std::string& prefix_in, const Options& options_in, io::FileSystem& file_system_in)
      : prefix(prefix_in),
        options(options_in),
        file_system(file_system_in),
        made_directories(file_system_in),
        lock(file_system_in),
        index(TemporaryIndexName(prefix_in), file_system_in) {}
  ~State() { Abort(); }

  void Begin();
  void CheckUsable() const;
  PendingFile& NewShard(std::int32_t shard);
  void Commit();
  void Abort() noexcept;

  void FinishFiles();
  void NoteIndexIdentity();
  void MoveFiles();
  void MakeVisible();
  std::optional<bool> IsVisible() const;
  void SyncVisible();
  bool GoBack();
  void RemoveOld() noexcept;
  void Leave() noexcept;
  void CloseAll() noexcept;

  const std::string prefix;
  const Options options;
  io::FileSystem& file_system;
  const int process = io::ProcessId();
  // What comes first is let go last.
  MadeDirectories made_directories;
  PrefixLock lock;
  std::optional<OpenDirectory> directory;

  bool is_first = false;  // no checkpoint was here before
  std::vector<OldDataFile> old_data;
  std::mutex shards_mutex;
  std::map<std::int32_t, PendingFile> shards;
  std::map<std::string, PendingFile> companions;
  std::int32_t num_shards = 0;  // 0 until settled

  PendingFile index;
  io::Sink* index_sink = nullptr;
  io::FileStatus index_identity;
  Backup index_backup = Backup::kNone;
  bool is_done = false;
};

void Transaction::State::Begin() {
  CheckSpelling(prefix);
  const std::string parent = ParentOf(prefix);
  CheckLength(prefix, made_directories.Plan(parent), file_system);
  made_directories.Make();
  if (options.sync) directory.emplace(parent, file_system);
  lock.Take(prefix);
  const LiveIndex live = ReadLiveIndex(prefix, file_system);
  is_first = !live.exists;
  old_data = RemoveLeftovers(prefix, live, file_system);
  index_sink = &index.Create();
}

void Transaction::State::CheckUsable() const {
  if (is_done) throw Error(ErrorCode::kClosed, "the save is over").At(prefix);
  if (process == io::ProcessId()) return;
  throw InvalidArgument("a forked child cannot go on with a save of its parent", prefix);
}

PendingFile& Transaction::State::NewShard(std::int32_t shard) {
  CheckUsable();
  if (shard < 0 || (num_shards != 0 && shard >= num_shards)) {
    throw InvalidArgument("there is no shard " + std::to_string(shard), prefix);
  }
  const std::lock_guard lock_shards(shards_mutex);
  const auto [place, is_new] =
      shards.try_emplace(shard, TemporaryDataName(prefix, shard), file_system);
  if (!is_new) {
    throw InvalidArgument("shard " + std::to_string(shard) + " exists already", prefix);
  }
  return place->second;
}

// --- The steps of a commit -----------------------------------------------------------------------

void Transaction::State::Commit() {
  CheckUsable();
  if (num_shards == 0) throw InvalidArgument("the number of shards is not settled", prefix);
  try {
    FinishFiles();
    MoveFiles();
    MakeVisible();
    if (options.sync) SyncVisible();
  } catch (...) {
    Abort();
    throw;
  }
  RemoveOld();
  Leave();
}

// Every byte is written, and with sync on the device.
void Transaction::State::FinishFiles() {
  for (auto& [id, shard] : shards) shard.Finish(options.sync);
  for (std::int32_t id = 0; id < num_shards; ++id) {
    if (shards.contains(id)) continue;
    PendingFile& shard = NewShard(id);
    shard.Create();
    shard.Finish(options.sync);
  }
  for (auto& [suffix, companion] : companions) companion.Finish(options.sync);
  NoteIndexIdentity();
  index.Finish(options.sync);
}

void Transaction::State::NoteIndexIdentity() {
  const int result = file_system.Stat(index_sink->descriptor(), &index_identity);
  if (result < 0) throw io::SystemError("cannot look at the index", index.temporary(), result);
}

// Everything but the index gets its final name, on the device before the index does.
void Transaction::State::MoveFiles() {
  for (auto& [id, shard] : shards) shard.Rename(DataFileName(prefix, id, num_shards));
  for (auto& [suffix, companion] : companions) {
    companion.Replace(prefix + suffix, BackupCompanionName(prefix, suffix), options.sync);
  }
  if (!options.sync) return;
  const int result = directory->Sync();
  if (result < 0) throw io::SystemError("cannot sync the directory", ParentOf(prefix), result);
  made_directories.Sync();
  if (is_first) SyncAncestors(ParentOf(prefix), file_system);
}

void Transaction::State::MakeVisible() {
  const std::string final_name = IndexFileName(prefix);
  // Without sync nothing can fail that would ask for the way back.
  if (options.sync) {
    index_backup = KeepOld(final_name, BackupIndexName(prefix), true, file_system);
  }
  const int result = file_system.Rename(index.temporary(), final_name);
  // Network file systems report failures of renames that happened.
  if (result >= 0 || IsVisible().value_or(false)) return;
  throw io::SystemError(
      "cannot rename the index; nothing was saved, and what was there before is "
      "intact",
      final_name, result);
}

// Whether the index at the final name is the one of this transaction; nothing when it cannot be
// told.
std::optional<bool> Transaction::State::IsVisible() const {
  io::FileStatus status;
  const int result = file_system.StatPath(IndexFileName(prefix), &status);
  if (result < 0 && result != -ENOENT) return std::nullopt;
  return result >= 0 && status.device == index_identity.device &&
         status.inode == index_identity.inode;
}

void Transaction::State::SyncVisible() {
  const int result = directory->Sync();
  if (result >= 0) return;
  if (GoBack()) {
    throw io::SystemError(
        "cannot sync the directory; nothing was saved, and what was there before is intact",
        ParentOf(prefix), result);
  }
  // Neither checkpoint may lose its data: the one that a power cut leaves is not known.
  Leave();
  throw io::SystemError(
      "cannot sync the directory; the new checkpoint is visible and complete, and may not survive "
      "a power cut; save again",
      IndexFileName(prefix), result);
}

// Puts the old index back, or removes the new one where there was none; false when it stays.
bool Transaction::State::GoBack() {
  const std::string final_name = IndexFileName(prefix);
  if (index_backup == Backup::kMissing) return false;
  const int result = index_backup == Backup::kKept
                         ? file_system.Rename(BackupIndexName(prefix), final_name)
                         : file_system.Unlink(final_name);
  if (result < 0 && IsVisible().value_or(true)) return false;
  directory->Sync();
  return true;
}

void Transaction::State::RemoveOld() noexcept {
  if (index_backup == Backup::kKept) file_system.Unlink(BackupIndexName(prefix));
  for (auto& [suffix, companion] : companions) companion.RemoveBackup();
  for (const OldDataFile& old : old_data) file_system.Unlink(old.path);
}

// --- Ends ----------------------------------------------------------------------------------------

// Lets go of everything and removes nothing but the lock.
void Transaction::State::Leave() noexcept {
  is_done = true;
  CloseAll();
  made_directories.Keep();
  lock.Release();
}

void Transaction::State::CloseAll() noexcept {
  for (auto& [id, shard] : shards) shard.CloseQuietly();
  for (auto& [suffix, companion] : companions) companion.CloseQuietly();
  index.CloseQuietly();
  directory.reset();
}

void Transaction::State::Abort() noexcept {
  if (is_done) return;
  is_done = true;
  if (process != io::ProcessId()) {
    CloseAll();
    made_directories.Keep();
    return lock.Forget();
  }
  if (index_sink != nullptr) {
    for (auto& [id, shard] : shards) shard.Undo();
    for (auto& [suffix, companion] : companions) companion.Undo();
    index.Undo();
    if (index_backup == Backup::kKept) file_system.Unlink(BackupIndexName(prefix));
  }
  CloseAll();
  lock.Release();
  made_directories.Remove();
}

// --- The public face -----------------------------------------------------------------------------

std::unique_ptr<Transaction> Transaction::Begin(const std::string& prefix, const Options& options,
                                                io::FileSystem& file_system) {
  auto state = std::make_unique<State>(prefix, options, file_system);
  state->Begin();
  return std::unique_ptr<Transaction>(new Transaction(std::move(state)));
}

Transaction::Transaction(std::unique_ptr<State> state) : state_(std::move(state)) {}

Transaction::~Transaction() = default;

const std::string& Transaction::prefix() const {
  return state_->prefix;
}

const Options& Transaction::options() const {
  return state_->options;
}

io::Sink& Transaction::CreateShard(std::int32_t shard) {
  return state_->NewShard(shard).Create();
}

void Transaction::ImportShard(std::int32_t shard, const std::string& path, bool copy,
                              const OnCopied& on_copied) {
  const PendingFile& file = state_->NewShard(shard);
  LinkOrCopy(path, file.temporary(), copy ? CopyMode::kCopy : CopyMode::kLinkIfPossible,
             state_->options.sync, state_->file_system, on_copied);
}

void Transaction::AddCompanion(const std::string& suffix, ByteView content) {
  state_->CheckUsable();
  if (!IsCompanionSuffix(suffix)) {
    throw InvalidArgument("a companion cannot have the suffix '" + suffix + "'", prefix());
  }
  const auto [place, is_new] = state_->companions.try_emplace(
      suffix, TemporaryCompanionName(prefix(), suffix), state_->file_system);
  if (!is_new) throw InvalidArgument("there is a companion '" + suffix + "' already", prefix());
  place->second.Create().WriteAt(0, content);
}

std::int32_t Transaction::Settle(std::int32_t wanted) {
  state_->CheckUsable();
  const auto& shards = state_->shards;
  if (state_->num_shards != 0 || wanted < 1 ||
      (!shards.empty() && shards.rbegin()->first >= wanted)) {
    throw InvalidArgument("the number of shards cannot be " + std::to_string(wanted), prefix());
  }
  const auto is_taken = [this](std::int32_t total) {
    return std::ranges::find(state_->old_data, total, &OldDataFile::num_shards) !=
           state_->old_data.end();
  };
  while (is_taken(wanted)) ++wanted;
  state_->num_shards = wanted;
  return wanted;
}

io::Sink& Transaction::index() {
  state_->CheckUsable();
  return *state_->index_sink;
}

void Transaction::Commit() {
  state_->Commit();
}

void Transaction::Abort() noexcept {
  state_->Abort();
}

}  // namespace fastckpt::commit
