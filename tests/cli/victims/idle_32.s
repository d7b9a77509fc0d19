# SPDX-License-Identifier: Apache-2.0
# A 32-bit process that waits to be ended.
    .globl _start
_start:
    mov $29, %eax   # pause
    int $0x80
    jmp _start
    .section .note.GNU-stack, "", @progbits
