#include "commit/names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace fastckpt::commit {
namespace {

constexpr std::string_view kTemporary = ".tmp";
constexpr std::string_view kIndex = ".index";
constexpr std::string_view kData = ".data-";
constexpr std::size_t kMaxCompanionWord = 5;

bool TakePrefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

bool TakeSuffix(std::string_view* text, std::string_view suffix) {
  if (!text->ends_with(suffix)) return false;
  text->remove_suffix(suffix.size());
  return true;
}

// A number as "%05d" prints it: five digits or more, and zeros in front only to make five.
std::optional<std::int32_t> TakeNumber(std::string_view* text) {
  const auto end = text->find_first_not_of("0123456789");
  const std::string_view digits = text->substr(0, end);
  if (digits.size() < 5 || (digits.size() > 5 && digits[0] == '0')) return std::nullopt;
  std::int32_t number = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (result.ec != std::errc()) return std::nullopt;
  text->remove_prefix(digits.size());
  return number;
}

// ASCII, whatever the locale.
bool IsWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool IsWord(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, IsWordCharacter);
}

bool IsTemporaryData(std::string_view rest) {
  return TakePrefix(&rest, kData) && TakeNumber(&rest) && rest == kTemporary;
}

// ".index.index.tmp" is the index under construction of another prefix, `base` + ".index".
bool IsTemporaryIndex(std::string_view rest) {
  if (!TakePrefix(&rest, kIndex) || !TakeSuffix(&rest, kTemporary)) return false;
  if (rest.empty()) return true;
  return TakePrefix(&rest, ".") && IsWord(rest) && rest != "lock" && rest != "index";
}

std::string IndexPlus(const std::string& prefix, std::string_view word) {
  std::string name = prefix;
  return name.append(kIndex).append(word).append(kTemporary);
}

}  // namespace

std::string DataFileName(const std::string& prefix, std::int32_t shard, std::int32_t num_shards) {
  std::array<char, 48> suffix;
  std::snprintf(suffix.data(), suffix.size(), ".data-%05d-of-%05d", shard, num_shards);
  return prefix + suffix.data();
}

std::string IndexFileName(const std::string& prefix) {
  return prefix + ".index";
}

std::string LockName(const std::string& prefix) {
  return IndexPlus(prefix, ".lock");
}

std::string TemporaryDataName(const std::string& prefix, std::int32_t shard) {
  std::array<char, 32> suffix;
  std::snprintf(suffix.data(), suffix.size(), ".data-%05d.tmp", shard);
  return prefix + suffix.data();
}

std::string TemporaryIndexName(const std::string& prefix) {
  return IndexPlus(prefix, "");
}

std::string BackupIndexName(const std::string& prefix) {
  return IndexPlus(prefix, ".old");
}

std::string TemporaryCompanionName(const std::string& prefix, std::string_view suffix) {
  return IndexPlus(prefix, suffix);
}

std::string BackupCompanionName(const std::string& prefix, std::string_view suffix) {
  return IndexPlus(prefix, ".old_" + std::string(suffix.substr(1)));
}

bool IsCompanionSuffix(std::string_view suffix) {
  if (!TakePrefix(&suffix, ".") || suffix.size() > kMaxCompanionWord || !IsWord(suffix)) {
    return false;
  }
  return suffix != "index" && suffix != "lock" && suffix != "old" && !suffix.starts_with("old_");
}

std::optional<DataFile> ParseDataFileName(std::string_view base, std::string_view name) {
  if (!TakePrefix(&name, base) || !TakePrefix(&name, kData)) return std::nullopt;
  const auto shard = TakeNumber(&name);
  if (!shard || !TakePrefix(&name, "-of-")) return std::nullopt;
  const auto num_shards = TakeNumber(&name);
  if (!num_shards || !name.empty() || *shard >= *num_shards) return std::nullopt;
  return DataFile{*shard, *num_shards};
}

bool IsTemporaryName(std::string_view base, std::string_view name) {
  return TakePrefix(&name, base) && (IsTemporaryData(name) || IsTemporaryIndex(name));
}

}  // namespace fastckpt::commit
