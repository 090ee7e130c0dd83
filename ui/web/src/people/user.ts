// What the form of a user holds, and what is wrong with it before the server is asked. Mistakes are keys of words.
import type { UserInput } from "../api/queries";
import type { User } from "../api/types";
import type { Errors } from "../kit/form";
import { longEnough } from "./passwords";

export const fresh: UserInput = { name: "", full_name: "", role: "viewer", disabled: false, password: "" };

export const inputOf = ({ name, full_name, role, disabled }: User): UserInput => ({ name, full_name, role, disabled, password: "" });

// The server's own rule.
const goodName = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
const reserved = new Set(["system", "local"]);

export function mistakes(input: UserInput, isNew: boolean): Errors<UserInput> {
  const wrong: Errors<UserInput> = {};
  if (isNew && !goodName.test(input.name)) wrong.name = "users.badName";
  else if (isNew && reserved.has(input.name.toLowerCase())) wrong.name = "users.reservedName";
  if ((isNew || input.password !== "") && !longEnough(input.password)) wrong.password = "profile.short";
  return wrong;
}
