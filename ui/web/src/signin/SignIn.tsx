import "./signin.css";
import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api/client";
import { useSignIn } from "../api/queries";
import { Logo } from "../app/Logo";
import { LanguageSwitch, SchemeSwitch } from "../app/Switches";
import { errorText } from "../kit/Page";

function useReason(error: unknown): string | null {
  const { t } = useTranslation();
  if (!error) return null;
  if (error instanceof ApiError && error.status === 401) return t("signIn.wrong");
  if (error instanceof ApiError && error.status === 429) return t("signIn.tooOften", { n: error.retryAfter ?? 60 });
  return errorText(error, t);
}

export function SignIn() {
  const { t } = useTranslation();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const signIn = useSignIn();
  const reason = useReason(signIn.error);
  useEffect(() => {
    document.title = `${t("signIn.title")} · Keepwatch`;
  }, [t]);
  return (
    <main className="kw-signin">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          signIn.mutate({ name: name.trim(), password });
        }}
      >
        <h1><Logo size={28} /> Keepwatch</h1>
        <TextInput label={t("signIn.name")} name="username" autoComplete="username" autoFocus required withAsterisk={false} value={name} onChange={(e) => setName(e.currentTarget.value)} autoCapitalize="off" spellCheck={false} />
        <PasswordInput label={t("signIn.password")} name="password" autoComplete="current-password" required withAsterisk={false} value={password} onChange={(e) => setPassword(e.currentTarget.value)} visibilityToggleButtonProps={{ "aria-label": t("signIn.reveal") }} />
        {reason && <p className="kw-signin-wrong" role="alert">{reason}</p>}
        <Button type="submit" loading={signIn.isPending} fullWidth>{t("signIn.do")}</Button>
        <div className="kw-line kw-signin-foot"><SchemeSwitch /><LanguageSwitch /></div>
      </form>
    </main>
  );
}
