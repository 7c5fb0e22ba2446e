/** The page's script, as text. */
declare const script: string;
export default script;
