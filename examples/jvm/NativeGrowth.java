// SPDX-License-Identifier: Apache-2.0
// A Java program whose threads grow native memory, and which has an agent attached to it while they do.
//   java -Djdk.attach.allowAttachSelf=true NativeGrowth PATH/TO/libsymbol_agent.so [rounds]
import com.sun.tools.attach.VirtualMachine;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import sun.misc.Unsafe;

public class NativeGrowth {
    // Every growth asks the loader: the unwinder finds no unwind information for the interpreter's and the compiler's
    // code, which the allocation was called from, and so looks it up anew each time.
    private static final long BLOCK_BYTES = 2L << 20;
    private static final int THREADS = 4;
    // 16 GiB of address space per thread; nobody touches the blocks, so they take no memory.
    private static final int BLOCKS_PER_THREAD = 8192;

    private static final AtomicBoolean attached = new AtomicBoolean();
    private static final CountDownLatch growing = new CountDownLatch(THREADS);

    private static Unsafe unsafe() throws ReflectiveOperationException {
        var field = Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        return (Unsafe) field.get(null);
    }

    // Holds what it allocates: a heap that gets blocks back stops growing. Pauses, so that the blocks last for the
    // length of the attach.
    private static void grow(Unsafe unsafe) {
        List<Long> blocks = new ArrayList<>();
        while (!attached.get() && blocks.size() < BLOCKS_PER_THREAD) {
            blocks.add(unsafe.allocateMemory(BLOCK_BYTES));
            growing.countDown();
            LockSupport.parkNanos(200_000);
        }
        blocks.forEach(unsafe::freeMemory);
    }

    public static void main(String[] arguments) throws Exception {
        Unsafe unsafe = unsafe();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < THREADS; i++) {
            threads.add(new Thread(() -> grow(unsafe)));
        }
        threads.forEach(Thread::start);
        growing.await();
        System.out.println("java: attaching while " + THREADS + " threads grow native memory");

        // The same request that `jcmd PID JVMTI.agent_load` sends; the JVM's attach listener thread runs the agent.
        VirtualMachine self = VirtualMachine.attach(Long.toString(ProcessHandle.current().pid()));
        self.loadAgentPath(arguments[0], arguments.length > 1 ? arguments[1] : "");
        self.detach();

        attached.set(true);
        for (Thread thread : threads) {
            thread.join();
        }
        System.out.println("java: done");
    }
}
