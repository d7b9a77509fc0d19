// SPDX-License-Identifier: Apache-2.0
// A Java program that attaches to itself and loads an agent again and again, while threads take native memory and give
// it back.
//   java -Djdk.attach.allowAttachSelf=true AttachStorm SECONDS PAUSE_MS PATH/TO/libsymbol_agent.so
import com.sun.tools.attach.VirtualMachine;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import sun.misc.Unsafe;

public class AttachStorm {
    private static final int THREADS = 2;
    private static final int BLOCKS_HELD = 32;
    private static final AtomicBoolean over = new AtomicBoolean();
    private static final AtomicLong attached = new AtomicLong();

    private static Unsafe unsafe() throws ReflectiveOperationException {
        var field = Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        return (Unsafe) field.get(null);
    }

    // Large and small ones in turn, the oldest given back: sampled, most of them unwind through Java frames.
    private static void allocate(Unsafe unsafe, AtomicLong taken) {
        long[] held = new long[BLOCKS_HELD];
        for (int i = 0; !over.get(); i++) {
            int place = i % BLOCKS_HELD;
            if (held[place] != 0) {
                unsafe.freeMemory(held[place]);
            }
            held[place] = unsafe.allocateMemory(i % 2 == 0 ? 300_000 : 3_000);
            taken.incrementAndGet();
            LockSupport.parkNanos(500_000);
        }
        for (long block : held) {
            if (block != 0) {
                unsafe.freeMemory(block);
            }
        }
    }

    private static void attach(String agent) throws Exception {
        VirtualMachine self = VirtualMachine.attach(Long.toString(ProcessHandle.current().pid()));
        self.loadAgentPath(agent, "1");
        self.detach();
        attached.incrementAndGet();
    }

    public static void main(String[] arguments) throws Exception {
        long end = System.nanoTime() + Long.parseLong(arguments[0]) * 1_000_000_000L;
        long pause = Long.parseLong(arguments[1]) * 1_000_000L;
        Unsafe unsafe = unsafe();
        List<Thread> threads = new ArrayList<>();
        List<AtomicLong> taken = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            AtomicLong mine = new AtomicLong();
            taken.add(mine);
            threads.add(new Thread(() -> allocate(unsafe, mine)));
        }
        threads.forEach(Thread::start);
        while (System.nanoTime() < end) {
            attach(arguments[2]);
            StringBuilder line = new StringBuilder("progress attaches=" + attached);
            for (int i = 0; i < THREADS; i++) {
                line.append(" blocks").append(i).append("=").append(taken.get(i));
            }
            System.out.println(line);
            LockSupport.parkNanos(pause);
        }
        over.set(true);
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("java: done");
    }
}
