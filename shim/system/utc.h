// SPDX-License-Identifier: Apache-2.0
// A point in time as a date: without libc's calendar, which reads files and takes a lock.
#pragma once

#include <cstdint>

namespace unknot {

struct Utc {
    std::uint64_t year;
    unsigned month, day, hour, minute, second;
};

// The proleptic Gregorian calendar, counted in years that begin in March, so that a leap day ends its year. Eras of 400
// years have 146,097 days; day 0 of the first one lies 719,468 days before 1970.
constexpr Utc utc_of(std::uint64_t seconds_since_1970) {
    const std::uint64_t days = seconds_since_1970 / 86400 + 719468;
    const auto rest = static_cast<unsigned>(seconds_since_1970 % 86400);
    const auto day_of_era = static_cast<unsigned>(days % 146097);
    const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned months_since_march = (5 * day_of_year + 2) / 153;
    const unsigned month = months_since_march < 10 ? months_since_march + 3 : months_since_march - 9;
    return {.year = days / 146097 * 400 + year_of_era + (month <= 2 ? 1 : 0),
            .month = month,
            .day = day_of_year - (153 * months_since_march + 2) / 5 + 1,
            .hour = rest / 3600,
            .minute = rest / 60 % 60,
            .second = rest % 60};
}

constexpr bool is(Utc time, std::uint64_t year, unsigned month, unsigned day, unsigned hour, unsigned minute,
                  unsigned second) {
    return time.year == year && time.month == month && time.day == day && time.hour == hour && time.minute == minute &&
           time.second == second;
}
static_assert(is(utc_of(0), 1970, 1, 1, 0, 0, 0));
static_assert(is(utc_of(951'782'399), 2000, 2, 28, 23, 59, 59));
static_assert(is(utc_of(951'782'400), 2000, 2, 29, 0, 0, 0));
static_assert(is(utc_of(1'709'251'199), 2024, 2, 29, 23, 59, 59));
static_assert(is(utc_of(4'107'542'400), 2100, 3, 1, 0, 0, 0));

}  // namespace unknot
