/** A part of a page: the bundler hands it over as text (`cli/build-worker.ts`). */
declare module "*.html" {
  const page: string;
  export default page;
}
declare module "*.css" {
  const style: string;
  export default style;
}
