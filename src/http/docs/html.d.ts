/** A page: the bundler hands it over as text. */
declare module "*.html" {
  const page: string;
  export default page;
}
