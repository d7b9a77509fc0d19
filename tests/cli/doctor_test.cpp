// SPDX-License-Identifier: Apache-2.0
// Every verdict but "deadlocked", on real processes: what is found, what is advised, and the exit code.
#include <unistd.h>

#include <algorithm>

#include "tests/cli/libunwind.h"
#include "tests/cli/unknot_command.h"
#include "tests/process/system.h"

namespace unknot::test {
namespace {

bool has(const std::vector<std::string>& keys, const std::string& key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

struct Finding {
    nlohmann::json json;
    int code;
    std::string verdict() const { return json.value("verdict", ""); }
    std::vector<std::string> reasons() const { return keys_of(json.at("reasons")); }
    std::vector<std::string> advice() const { return keys_of(json.at("advice")); }
};

Finding examine(const std::string& id) {
    const process::Result result = unknot({"doctor", "--json", id});
    EXPECT_EQ(result.outcome, process::Outcome::exited);
    return {only_of(json_of(result)), result.code};
}

Finding examine_under(const std::string& preload, Variables more = {}) {
    more.emplace_back("LD_PRELOAD", preload);
    const Victim victim("cli_idle", more);
    return examine(victim.id());
}

TEST(Doctor, finds_glibc_malloc_not_affected) {
    const Finding found = examine_under("");
    EXPECT_EQ(found.verdict(), "not affected");
    EXPECT_EQ(found.code, 0);
    EXPECT_EQ(found.json["allocator"]["kind"], "glibc");
    EXPECT_TRUE(found.advice().empty());
}

TEST(Doctor, finds_tcmalloc_with_libunwind_at_risk) {
    const Finding found = examine_under("libtcmalloc.so.4", {{"TCMALLOC_STACKTRACE_METHOD", ""}});
    EXPECT_EQ(found.verdict(), "at risk");
    EXPECT_EQ(found.code, 1);
    EXPECT_EQ(found.json["allocator"]["kind"], "tcmalloc");
    EXPECT_TRUE(has(found.reasons(), "unwinds_with_libunwind"));
    EXPECT_EQ(has(found.advice(), "use_generic_fp"), process::tcmalloc_has_generic_fp);
    EXPECT_TRUE(has(found.advice(), "use_tcmalloc_minimal"));
    EXPECT_EQ(found.advice().back(), "use_shim");
    EXPECT_FALSE(has(found.advice(), "upgrade_async_profiler")) << "there is none in the process";
}

// The method is read from the memory of the process: it stays true where the environment says nothing.
TEST(Doctor, reads_the_stack_trace_method_in_force) {
    for (const char* method : {"libunwind", "libgcc", "generic_fp"}) {
        const Finding found = examine_under("libtcmalloc.so.4", {{"TCMALLOC_STACKTRACE_METHOD", method}});
        const bool there = process::tcmalloc_has_generic_fp || method != std::string_view("generic_fp");
        EXPECT_EQ(found.json["allocator"]["stack_method"], there ? method : "libunwind");
        EXPECT_EQ(found.json["allocator"]["stack_method_source"], "read from the process's memory");
    }
}

TEST(Doctor, finds_generic_fp_not_affected) {
    if (!process::tcmalloc_has_generic_fp) GTEST_SKIP() << "this gperftools has no generic_fp";
    const Finding found = examine_under("libtcmalloc.so.4", {{"TCMALLOC_STACKTRACE_METHOD", "generic_fp"}});
    EXPECT_EQ(found.verdict(), "not affected");
    EXPECT_EQ(found.code, 0);
}

constexpr const char* by_libgcc = process::libgcc_takes_no_lock ? "not affected" : "at risk";

// The victim is a C program: libunwind, where it exports _Unwind_Backtrace, comes before libgcc there.
TEST(Doctor, tells_what_the_libgcc_method_is_bound_to) {
    const Variables libgcc = {{"TCMALLOC_STACKTRACE_METHOD", "libgcc"}};
    const Finding found = examine_under("libtcmalloc.so.4", libgcc);
    EXPECT_EQ(found.verdict(), libunwind_is_taken_for_libgcc() ? "at risk" : by_libgcc);
    EXPECT_EQ(has(found.reasons(), "unwinds_with_wrong_libgcc"), libunwind_is_taken_for_libgcc());
    EXPECT_FALSE(has(found.advice(), "use_libgcc"));
    EXPECT_EQ(examine_under("libgcc_s.so.1:libtcmalloc.so.4", libgcc).verdict(), by_libgcc);
}

TEST(Doctor, advises_libgcc_only_where_it_would_bind_to_libgcc) {
    EXPECT_EQ(has(examine_under("libgcc_s.so.1:libtcmalloc.so.4").advice(), "use_libgcc"),
              process::libgcc_takes_no_lock);
    EXPECT_EQ(has(examine_under("libunwind.so.8:libtcmalloc.so.4").advice(), "use_libgcc"),
              process::libgcc_takes_no_lock && !libunwind_is_taken_for_libgcc());
}

TEST(Doctor, finds_allocators_without_stack_traces_not_affected) {
    for (const auto& [library, kind] :
         {std::pair("libtcmalloc_minimal.so.4", "tcmalloc_minimal"), std::pair(UNKNOT_MIMALLOC, "mimalloc"),
          std::pair("libjemalloc.so.2", "jemalloc")}) {
        if (kind == std::string_view("mimalloc") && process::is_missing(library)) continue;
        const Finding found = examine_under(library, {{"MALLOC_CONF", ""}});
        EXPECT_EQ(found.verdict(), "not affected") << library;
        EXPECT_EQ(found.json["allocator"]["kind"], kind);
        EXPECT_EQ(found.code, 0);
    }
}

TEST(Doctor, finds_jemalloc_with_its_profiler_at_risk_where_its_unwinder_waits_for_the_loader) {
    const Variables profiling = {{"MALLOC_CONF", "lg_prof_sample:20,prof:true"}};
    EXPECT_EQ(examine_under("libjemalloc.so.2", profiling).verdict(), by_libgcc);
    const Finding found = examine_under("libunwind.so.8:libjemalloc.so.2", profiling);
    if (!libunwind_is_taken_for_libgcc()) {
        EXPECT_EQ(found.verdict(), by_libgcc);
        EXPECT_FALSE(has(found.reasons(), "unwinds_with_wrong_libgcc"));
        return;
    }
    EXPECT_EQ(found.verdict(), "at risk");
    EXPECT_TRUE(has(found.reasons(), "unwinds_with_wrong_libgcc"));
    EXPECT_EQ(found.advice().at(0), "immunise");
    EXPECT_EQ(found.advice().at(1), "turn_profiling_off");
}

TEST(Doctor, finds_the_shim_protecting) {
    const Finding found = examine_under(built("libunknot.so") + ":libtcmalloc.so.4");
    EXPECT_EQ(found.verdict(), "protected");
    EXPECT_EQ(found.code, 0);
    EXPECT_EQ(found.json["shim"]["mode"], "protect");
    EXPECT_TRUE(has(found.reasons(), "shim_protects"));
}

TEST(Doctor, finds_a_shim_that_is_off_at_risk) {
    for (const char* mode : {"off", "observe"}) {
        const Finding found = examine_under(built("libunknot.so") + ":libtcmalloc.so.4", {{"UNKNOT_MODE", mode}});
        EXPECT_EQ(found.verdict(), "at risk");
        EXPECT_TRUE(has(found.reasons(), "shim_passive"));
        EXPECT_EQ(found.advice().back(), "set_protect_mode");
    }
}

TEST(Doctor, finds_walks_that_protect_alone_and_says_what_they_cover) {
    for (const std::string& preload :
         {"libtcmalloc.so.4:" + built("libunknot.so"), "libtcmalloc.so.4:" + built("libunknot_walks.so"),
          built("libunknot_walks.so") + ":libtcmalloc.so.4"}) {
        const Finding found = examine_under(preload);
        EXPECT_EQ(found.verdict(), "protected") << preload;
        EXPECT_EQ(found.code, 0);
        EXPECT_EQ(found.json["shim"]["mode"], "walks");
        EXPECT_TRUE(has(found.reasons(), "shim_protects_by_walks"));
        EXPECT_FALSE(has(found.reasons(), "shim_bypassed"));
        EXPECT_TRUE(found.advice().empty());
    }
}

TEST(Doctor, finds_a_shim_behind_the_allocator_that_is_off_at_risk) {
    for (const Variables& how : {Variables{{"UNKNOT_MODE", "off"}}, Variables{{"UNKNOT_WALK", "native"}}}) {
        const Finding found = examine_under("libtcmalloc.so.4:" + built("libunknot.so"), how);
        EXPECT_EQ(found.verdict(), "at risk");
        EXPECT_FALSE(has(found.reasons(), "shim_protects_by_walks"));
        EXPECT_EQ(found.advice().back(), "preload_shim_first");
    }
}

TEST(Doctor, advises_walks_alone_where_malloc_is_linked_in) {
    if (access(built("cli_linked_tcmalloc").c_str(), X_OK) != 0) GTEST_SKIP() << "libtcmalloc.a is not installed";
    const Victim victim("cli_linked_tcmalloc", {{"LD_PRELOAD", ""}});
    const Finding found = examine(victim.id());
    EXPECT_EQ(found.verdict(), "at risk");
    EXPECT_TRUE(found.json["allocator"]["in_executable"]);
    EXPECT_TRUE(has(found.advice(), "link_tcmalloc_minimal"));
    EXPECT_FALSE(has(found.advice(), "use_shim"));
    EXPECT_FALSE(has(found.advice(), "use_tcmalloc_minimal"));
    EXPECT_EQ(found.advice().back(), "use_walks_shim");
    EXPECT_NE(found.json["advice"].back()["text"].get<std::string>().find("LD_PRELOAD=libunknot_walks.so"),
              std::string::npos);
    for (const char* library : {"libunknot.so", "libunknot_walks.so"}) {
        const Victim cured("cli_linked_tcmalloc", {{"LD_PRELOAD", built(library)}});
        const Finding helped = examine(cured.id());
        EXPECT_EQ(helped.verdict(), "protected") << library;
        EXPECT_TRUE(has(helped.reasons(), "shim_protects_by_walks"));
    }
}

TEST(Doctor, knows_an_allocator_that_is_loaded_but_not_called) {
    const Victim victim("cli_own_malloc", {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    const Finding found = examine(victim.id());
    EXPECT_EQ(found.json["allocator"]["object"], "cli_own_malloc");
    const std::vector<std::string> unused = found.json["allocator"]["unused"];
    ASSERT_EQ(unused.size(), 1u);
    EXPECT_EQ(unused[0].rfind("libtcmalloc.so.4.", 0), 0u) << unused[0];
    EXPECT_TRUE(has(found.reasons(), "allocator_unknown"));
    EXPECT_EQ(found.advice(), std::vector<std::string>{"use_walks_shim"});
}

TEST(Doctor, knows_of_a_command_what_walks_alone_will_be) {
    const std::vector<std::string> arguments{"doctor", "--json", "--", built("cli_own_malloc")};
    const auto told = [&](const Variables& variables) { return only_of(json_of(unknot(arguments, variables))); };
    EXPECT_EQ(told({{"LD_PRELOAD", ""}})["verdict"], "at risk");
    for (const char* library : {"libunknot.so", "libunknot_walks.so"}) {
        const auto found = told({{"LD_PRELOAD", built(library)}});
        EXPECT_EQ(found["verdict"], "protected") << library;
        EXPECT_EQ(found["shim"]["mode"], "walks") << library;
        for (const auto& [name, value] : {std::pair("UNKNOT_MODE", "off"), std::pair("UNKNOT_WALK", "native")})
            EXPECT_EQ(told({{"LD_PRELOAD", built(library)}, {name, value}})["verdict"], "at risk") << library << name;
    }
    const Folder folder;
    std::filesystem::copy_file(built("cli_own_malloc"), folder / "setuid");
    std::filesystem::permissions(folder / "setuid", std::filesystem::perms::set_uid,
                                 std::filesystem::perm_options::add);
    const auto privileged = only_of(
        json_of(unknot({"doctor", "--json", "--", folder / "setuid"}, {{"LD_PRELOAD", built("libunknot_walks.so")}})));
    EXPECT_EQ(privileged["verdict"], "at risk") << "the loader ignores LD_PRELOAD there";
}

TEST(Doctor, examines_a_static_program) {
    const Victim victim("cli_idle_static");
    const Finding found = examine(victim.id());
    EXPECT_EQ(found.verdict(), "not affected");
    EXPECT_TRUE(found.json["libc"]["static"]);
}

// By the words that it leaves there, stripped or not; whose malloc a stripped one has is not known.
TEST(Doctor, knows_the_archive_in_a_static_program) {
    if (access(built("static_tcmalloc_walks_stripped").c_str(), X_OK) != 0) {
        GTEST_SKIP() << "this system has no archives to link it with";
    }
    const auto told = [](const char* program) {
        return only_of(json_of(unknot({"doctor", "--json", "--", built(program)}, {{"LD_PRELOAD", ""}})));
    };
    const auto bare = told("static_tcmalloc");
    EXPECT_EQ(bare["verdict"], "at risk");
    EXPECT_EQ(bare["advice"].back()["key"], "link_walks");
    for (const auto& [program, verdict] :
         {std::pair("static_tcmalloc_walks", "protected"), std::pair("static_tcmalloc_walks_stripped", "unknown")}) {
        const auto cured = told(program);
        EXPECT_EQ(cured["verdict"], verdict) << program;
        EXPECT_EQ(cured["shim"]["library"], "libunknot_walks.a") << program;
        EXPECT_EQ(cured["shim"]["mode"], "walks") << program;
    }
}

TEST(Doctor, examines_a_command_without_starting_it) {
    const Folder folder;
    const std::string mark = folder / "started";
    const process::Result result =
        unknot({"doctor", "--json", "--", "touch", mark}, {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    EXPECT_EQ(only_of(json_of(result))["verdict"], "at risk");
    EXPECT_EQ(result.code, 1);
    EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST(Doctor, reads_a_process_with_ten_thousand_mappings) {
    const Victim victim("cli_many_mappings", {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    EXPECT_EQ(examine(victim.id()).verdict(), "at risk");
}

TEST(Doctor, takes_the_worst_of_several_processes) {
    const Victim fine("cli_idle"), risky("cli_idle", {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    const process::Result result = unknot({"doctor", "--json", fine.id(), risky.id()});
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(json_of(result).size(), 2u);
}

TEST(Doctor, lists_every_process) {
    const Victim risky("cli_idle", {{"LD_PRELOAD", "libtcmalloc.so.4"}});
    const process::Result result = unknot({"doctor", "--all"});
    EXPECT_NE(result.out.find(risky.id()), std::string::npos);
    EXPECT_TRUE(result.code == 1 || result.code == 3) << result.code;
}

TEST(Doctor, believes_a_witness_that_saw_both_edges) {
    const Finding found = examine_under(built("libcli_fake_page.so"), {{"UNKNOT_TEST_PAGE", "both edges"}});
    EXPECT_EQ(found.verdict(), "at risk") << "glibc's malloc itself is harmless";
    EXPECT_TRUE(has(found.reasons(), "both_edges_witnessed"));
}

TEST(Doctor, judges_without_a_page_when_the_page_is_garbage) {
    const Finding found = examine_under(built("libcli_fake_page.so"), {{"UNKNOT_TEST_PAGE", "noise"}});
    EXPECT_EQ(found.verdict(), "not affected");
    EXPECT_NE(found.json["notes"].dump().find("not a statistics page"), std::string::npos);
}

}  // namespace
}  // namespace unknot::test
