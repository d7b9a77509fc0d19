// SPDX-License-Identifier: Apache-2.0
// What the command reads of a hostile process: its ELF files, texts of /proc, its statistics page. The first byte of an
// input says which. Nothing is expected of the answers but that there are some.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "cli/read/cgroup.h"
#include "cli/read/inspect_elf.h"
#include "cli/read/maps.h"
#include "cli/read/page_reader.h"
#include "cli/read/trouble.h"

namespace {

using namespace unknot::cli;

// A file without a name, as big as the input.
class File {
  public:
    File(const std::uint8_t* bytes, std::size_t size) : fd_(memfd_create("input", MFD_CLOEXEC)) {
        if (fd_ < 0 || write(fd_, bytes, size) != static_cast<ssize_t>(size)) std::abort();
    }
    ~File() { close(fd_); }
    std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

  private:
    int fd_;
};

void read_elf(const std::uint8_t* bytes, std::size_t size) {
    const File input(bytes, size);
    const auto file = ElfFile::open(input.path());
    if (file == nullptr) return;
    for (const char* name : {"malloc", "_rtld_global", "unknot_stats", ""}) {
        file->exports(name);
        file->imports(name);
        file->defined(name);
        file->slot_of(name);
        file->symbol_with(name);
        file->string_starting_with(name);
        file->strings_equal_to(name);
    }
    for (const std::uint64_t address : {std::uint64_t{0}, file->lowest_address() + 0x1000, ~std::uint64_t{0}})
        file->covering(address);
    file->strings_like([](std::string_view text) { return text.size() == 3; });
    file->has_local_symbols();
    file->writable_ranges();
}

void read_page(const std::uint8_t* bytes, std::size_t size) {
    try {
        const PageReading reading = understand_page(bytes, size);
        verdict_of_witness(reading);
        describe(by_object(reading.under_loader_lock));
    } catch (const Trouble&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::uint8_t* rest = data + 1;
    const std::string text(reinterpret_cast<const char*>(rest), size - 1);
    switch (data[0] % 4) {
        case 0:
            read_elf(rest, size - 1);
            break;
        case 1:
            mappings_in(text);
            break;
        case 2:
            place_in(text);
            break;
        default:
            read_page(rest, size - 1);
    }
    return 0;
}
