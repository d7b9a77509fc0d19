// SPDX-License-Identifier: Apache-2.0
// A busy, healthy JVM that measures itself: one thread sleeps 200 us again and again and takes how much longer it was,
// another allocates all the while. For every line read from standard input it prints what it has taken since the last
// one: the number of sleeps and their median, 99th percentile and largest excess, in microseconds.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;

public class Ticks {
    static final int SLEEP_NS = 200_000;
    static long[] taken = new long[1 << 20];
    static int count = 0;
    static volatile Object seen;

    static synchronized void take(long excess) {
        if (count < taken.length) taken[count++] = excess;
    }

    static synchronized String told() {
        long[] sorted = Arrays.copyOf(taken, count);
        count = 0;
        Arrays.sort(sorted);
        if (sorted.length == 0) return "0 0 0 0";
        return sorted.length + " " + sorted[sorted.length / 2] / 1000 + " " + sorted[sorted.length * 99 / 100] / 1000
                + " " + sorted[sorted.length - 1] / 1000;
    }

    static void start(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        thread.start();
    }

    public static void main(String[] arguments) throws Exception {
        start(() -> {
            while (true) {
                long before = System.nanoTime();
                LockSupport.parkNanos(SLEEP_NS);
                take(System.nanoTime() - before - SLEEP_NS);
            }
        });
        start(() -> {
            while (true) {
                seen = new byte[10_000];
                LockSupport.parkNanos(1000);
            }
        });
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        while (in.readLine() != null) System.out.println(told());
    }
}
