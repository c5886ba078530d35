/** The exceptions that the hart itself raises: scause (RISC-V Privileged, 12.1.8). Page faults come from the walker. */
export const CAUSE = {
  fetchMisaligned: 0,
  fetchAccess: 1,
  illegalInstruction: 2,
  breakpoint: 3,
  loadMisaligned: 4,
  loadAccess: 5,
  storeMisaligned: 6,
  storeAccess: 7,
  userCall: 8,
} as const;
