/** A part of a page: the bundler hands it over as text (`rules` in wrangler.toml). */
declare module "*.html" {
  const page: string;
  export default page;
}
declare module "*.css" {
  const style: string;
  export default style;
}
