// SPDX-License-Identifier: Apache-2.0
// A program that is about to be started: found in PATH as the shell would, interpreters of scripts followed, and what
// the loader would load for it.
#pragma once

#include <memory>
#include <string>

#include "cli/read/inspect_elf.h"
#include "cli/read/objects.h"

namespace unknot::cli {

struct Program {
    std::string path;    // of the ELF file that the kernel would run in the end
    std::string script;  // set: the command is this script, `path` its interpreter
    std::shared_ptr<ElfFile> file;
    bool privileged = false;  // setuid, setgid or file capabilities: the loader ignores LD_PRELOAD
    std::string privilege;    // which
};

// Throws Trouble: not found, not executable, not an ELF file.
Program find_program(const std::string& command);
// By the loader's own answer (ld.so --list), with LD_PRELOAD as it stands in `preload`, or as in this program's own
// environment. Nothing of the program is run.
Objects objects_for(const Program& program, const std::string* preload = nullptr);

}  // namespace unknot::cli
