// The server refuses shorter passwords (characters).
export const shortest = 10;
