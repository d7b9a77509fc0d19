// SPDX-License-Identifier: Apache-2.0
// Loads a native library: LoadsNative PATH
public class LoadsNative {
    public static void main(String[] arguments) {
        System.out.println("loading");
        System.load(arguments[0]);
        System.out.println("loaded");
    }
}
