// swift-tools-version: 6.2
//
// Benchmarks of Trainyard and the C++ they are compared with. A package of its own, so that users of the product do not
// build it; `scripts/bench NAME` builds and runs what is here.

import PackageDescription

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
let waitFree = Target.Dependency.product(name: "TrainyardWaitFree", package: "trainyard")
let engine = Target.Dependency.product(name: "TrainyardEngine", package: "trainyard")
let yard = Target.Dependency.product(name: "TrainyardYard", package: "trainyard")

let package = Package(
    name: "trainyard-benchmarks",
    dependencies: [.package(name: "trainyard", path: "..")],
    targets: [
        // The same structures in C++, for numbers to stand beside.
        .target(name: "CComparators", cxxSettings: [.unsafeFlags(["-O3"])]),
        // Figures and clocks that the benchmarks share.
        .target(name: "Measuring", dependencies: ["CComparators"], swiftSettings: strict),
        .executableTarget(name: "core", dependencies: [waitFree, "CComparators", "Measuring"], swiftSettings: strict),
        // Runs the dispatch path in steady state, to be counted; see scripts/verify-wait-free.
        .target(name: "CAllocationCount"),
        .executableTarget(
            name: "steady", dependencies: [waitFree, yard, "CAllocationCount", "CComparators", "Measuring"],
            swiftSettings: strict),
        // Simulated requests per CPU second, and memory; see scripts/bench.d/engine.
        .executableTarget(name: "engine", dependencies: [engine], swiftSettings: strict),
        // Shows placement in a guest with several nodes; see scripts/numa-guest.
        .executableTarget(name: "numa-probe", dependencies: [waitFree], swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx20
)
