import * as z from "zod";

/** A string from outside: lone surrogates are replaced, so that every stored text is well-formed Unicode. */
export const wellFormedText = () => z.string().overwrite((value) => value.toWellFormed());
