/** Set by the build from the VERSION file. */
declare const DUPLEX_VERSION: string;
