// What a password must be, and how one is made up.

export const shortest = 10; // characters, as the server wants them
export const longest = 256;

export const longEnough = (password: string) => [...password].length >= shortest;

// No letters and digits that look alike: it is read out, or typed from a screen.
const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

// makePassword makes one of 20 letters, about 115 bits, in groups of five.
export function makePassword(): string {
  let made = "";
  while (made.length < 20) {
    // Only bytes below a multiple of the alphabet's length, so that every letter is as likely as any other.
    for (const byte of crypto.getRandomValues(new Uint8Array(40))) {
      if (byte < letters.length * 4 && made.length < 20) made += letters[byte % letters.length];
    }
  }
  return made.replace(/(.{5})(?=.)/g, "$1-");
}
