// The one place that speaks HTTP: JSON in and out, and every failure as an ApiError that a form or a page can show.

export type FieldError = { field: string; message: string };

export class ApiError extends Error {
  constructor(
    readonly status: number, // 0: the server could not be reached
    message: string,
    readonly fields: FieldError[] = [],
    readonly retryAfter: number | null = null, // seconds
  ) {
    super(message);
  }
}

type Problem = {
  title?: string;
  detail?: string;
  errors?: { message?: string; location?: string }[];
};

// fieldOf turns the server's location of an error ("body.labels.device") into the field of the form ("labels").
function fieldOf(location: string): string {
  const path = location.replace(/^body\.?/, "");
  return path.split(/[.[]/)[0] ?? "";
}

async function failure(answer: Response): Promise<ApiError> {
  let problem: Problem = {};
  try {
    problem = (await answer.json()) as Problem;
  } catch {
    // A proxy in between may answer in HTML: the status says enough.
  }
  const fields = (problem.errors ?? []).map((e) => ({
    field: fieldOf(e.location ?? ""),
    message: e.message ?? "",
  }));
  const retry = Number(answer.headers.get("Retry-After"));
  const text = problem.detail || problem.title || `HTTP ${answer.status}`;
  return new ApiError(answer.status, text, fields, Number.isFinite(retry) && retry > 0 ? retry : null);
}

export const base = "/api/v1";

export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(base + path, {
      method,
      signal,
      headers: body === undefined ? undefined : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, "");
  }
  if (!answer.ok) throw await failure(answer);
  if (answer.status === 204) return undefined as T;
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

export const get = <T>(path: string, signal?: AbortSignal) => call<T>("GET", path, undefined, signal);
export const post = <T>(path: string, body?: unknown) => call<T>("POST", path, body ?? {});
export const put = <T>(path: string, body: unknown) => call<T>("PUT", path, body);
export const del = <T = void>(path: string) => call<T>("DELETE", path);

// query makes "?a=1&b=2" of what is set.
export function query(values: Record<string, string | number | undefined | null>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}
