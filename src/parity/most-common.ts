import { canonicalJson } from "../protocol/json.ts";

/** What most have; where several things are had by as many, the one that comes first. */
export function mostCommon<T>(values: readonly T[]): T | undefined {
  const groups = [...Map.groupBy(values, (value) => canonicalJson(value)).values()];
  return groups.reduce<T[]>((most, group) => (group.length > most.length ? group : most), [])[0];
}
