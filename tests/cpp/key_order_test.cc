#include "bundle/key_order.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "harness.h"

namespace fastckpt::bundle {
namespace {

using Keys = std::vector<std::string>;
using Order = std::vector<std::uint32_t>;

Order OrderOf(const Keys& keys) {
  return KeyOrder(std::vector<std::string_view>(keys.begin(), keys.end()));
}

// What the library's own stable sort of strings makes of it.
Order PlainOrder(const Keys& keys) {
  Order order(keys.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return std::string_view(keys[i]); });
  return order;
}

Keys Shuffled(Keys keys, unsigned seed) {
  std::ranges::shuffle(keys, std::mt19937(seed));
  return keys;
}

TEST(key_order_of_few_keys) {
  CHECK(OrderOf({}).empty());
  CHECK(OrderOf({"a"}) == Order({0}));
  CHECK(OrderOf({"b", "a"}) == Order({1, 0}));
  CHECK(OrderOf({"b", "a", "b", "a", ""}) == Order({4, 1, 3, 0, 2}));
  CHECK(OrderOf({"\x80", "\x7f", "a"}) == Order({2, 1, 0}));
}

TEST(key_order_of_names_of_models) {
  for (const std::size_t count : {40, 500, 5000, 20000}) {
    Keys keys;
    for (std::size_t i = 0; i < count; ++i) {
      keys.push_back("model/encoder/layer_" + std::to_string(i / 8) + "/attention/kernel_" +
                     std::to_string(i % 8));
    }
    keys = Shuffled(std::move(keys), static_cast<unsigned>(count));
    CHECK(OrderOf(keys) == PlainOrder(keys));
  }
}

TEST(key_order_of_keys_that_differ_late) {
  Keys keys;
  for (int i = 0; i < 3000; ++i) {
    keys.push_back(std::string(i % 2 == 0 ? 1 : 1000, 'x') + std::string(500, 'y') +
                   std::to_string(i / 3));
  }
  keys = Shuffled(std::move(keys), 1);
  CHECK(OrderOf(keys) == PlainOrder(keys));
}

TEST(key_order_of_keys_that_end_where_others_have_zeros) {
  for (const std::size_t copies : {1, 3, 50}) {
    Keys keys;
    for (std::size_t size = 0; size < 100; ++size) {
      for (std::size_t i = 0; i < copies; ++i) {
        keys.push_back("k" + std::string(size, '\0'));
        keys.push_back("k" + std::string(size, '\0') + "\x01");
      }
    }
    keys = Shuffled(std::move(keys), 2);
    CHECK(OrderOf(keys) == PlainOrder(keys));
  }
}

TEST(key_order_of_random_keys) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    Keys keys(random() % 6000);
    const unsigned long alphabet = 1 + random() % 255, longest = 1 + random() % 70;
    for (std::string& key : keys) {
      key.resize(random() % longest);
      for (char& byte : key) byte = static_cast<char>(random() % alphabet);
    }
    CHECK(OrderOf(keys) == PlainOrder(keys));
  }
}

}  // namespace
}  // namespace fastckpt::bundle
