import Testing

@testable import Catalog

@Suite("Prices")
struct PriceTests {
    let catalog = Catalog.builtIn

    private func day(_ text: String) throws -> CalendarDay { try #require(CalendarDay(text)) }

    @Test("the latest price at or before the day")
    func latest() throws {
        let before = try catalog.price(
            "p5en.48xlarge", basis: .capacityBlock, region: "us-east-1", date: try day("2025-12-31"))
        #expect(before.microDollarsPerHour == 36_180_000)
        let january = try catalog.price(
            "p5en.48xlarge", basis: .capacityBlock, region: "us-east-1", date: try day("2026-01-15"))
        #expect(january.microDollarsPerHour == 41_610_000)
        let ohio = try catalog.price(
            "p5en.48xlarge", basis: .capacityBlock, region: "us-east-2", date: try day("2026-07-15"))
        #expect(ohio.microDollarsPerHour == 54_920_000)
        #expect(ohio.price.region == "us-east-2")
        let october = try catalog.price(
            "p5en.48xlarge", basis: .capacityBlock, region: "us-east-2", date: try day("2026-10-03"))
        #expect(october.microDollarsPerHour == 63_158_000)
        #expect(october.statement.contains("2026-10"))
        let trainium = try catalog.price(
            "trn2.48xlarge", basis: .capacityBlock, region: "us-east-2", date: try day("2026-10-03"))
        #expect(trainium.microDollarsPerHour == 35_760_800)
    }

    @Test("the price of an accelerator times their number where the instance has none")
    func perAccelerator() throws {
        let quote = try catalog.price("hgx-h100", basis: .market, region: "global", date: try day("2026-11-20"))
        #expect(quote.microDollarsPerHour == 8 * 2_950_000)
        #expect(quote.statement.contains("8 x"))
        let owned = try catalog.price(
            "p6-b200.48xlarge", basis: .ownership, region: "us-east-1", date: try day("2026-11-20"))
        #expect(owned.microDollarsPerHour == 8 * 1_950_000)
    }

    @Test("no price is an error that lists those there are")
    func none() throws {
        let date = try day("2026-10-03")
        let error = #expect(throws: CatalogError.self) {
            try catalog.price("trn2.48xlarge", basis: .onDemand, region: "us-east-2", date: date)
        }
        #expect(error?.kind == .noPrice)
        #expect(error?.description.contains("capacity-block us-east-2 2026-10-03") == true)
        #expect(error?.description.contains("usd_per_hour") == true)
        let early = try day("2020-01-01")
        #expect(throws: CatalogError.self) {
            try catalog.price("p5.48xlarge", basis: .onDemand, region: "us-east-1", date: early)
        }
        let nowhere = #expect(throws: CatalogError.self) {
            try catalog.price("u-trn3x144", basis: .capacityBlock, region: "us-east-2", date: date)
        }
        #expect(nowhere?.description.contains("none of any kind") == true)
    }

    @Test("another region's price serves only when asked, and is then assumed")
    func elsewhere() throws {
        let date = try day("2026-10-03")
        #expect(throws: CatalogError.self) {
            try catalog.price("p5.48xlarge", basis: .onDemand, region: "us-west-2", date: date)
        }
        let quote = try catalog.price(
            "p5.48xlarge", basis: .onDemand, region: "us-west-2", date: date, orElsewhere: true)
        #expect(quote.microDollarsPerHour == 55_040_000)
        #expect(quote.grade == .assumed)
        #expect(quote.statement.contains("none known in us-west-2"))
    }

    @Test("a price agrees with a search through all of them")
    func oracle() throws {
        let seed: UInt64 = 20_261_120
        var numbers = SeededNumbers(state: seed)
        let days = try [
            "2024-12-01", "2025-06-30", "2026-01-01", "2026-05-21", "2026-07-20", "2026-10-03", "2026-11-20",
        ].map(day)
        for _ in 0..<2_000 {
            let instance = catalog.instances.randomElement(using: &numbers)!
            let basis = PriceBasis.allCases.randomElement(using: &numbers)!
            let region = catalog.regions.randomElement(using: &numbers)!.id
            let date = days.randomElement(using: &numbers)!
            let candidates = catalog.prices.prices.filter {
                $0.subject == ($0.isPerAccelerator ? instance.accelerator : instance.id) && $0.basis == basis
                    && $0.date <= date
                    && ($0.region == region || $0.region == Price.anyRegion)
            }
            let expected = candidates.max { left, right in
                func rank(_ price: Price) -> (Int, Int) {
                    (price.isPerAccelerator ? 0 : 1, price.region == region ? 1 : 0)
                }
                return rank(left) != rank(right) ? rank(left) < rank(right) : left.date < right.date
            }
            let quote = try? catalog.price(instance.id, basis: basis, region: region, date: date)
            #expect(quote?.price == expected, "seed \(seed): \(instance.id) \(basis) \(region) \(date)")
        }
    }

    @Test("an unknown basis, instance or region names the nearest")
    func names() throws {
        let date = try day("2026-10-03")
        let instance = #expect(throws: CatalogError.self) {
            try catalog.price("trn2.48xlrage", basis: .capacityBlock, region: "us-east-2", date: date)
        }
        #expect(instance?.description.contains("trn2.48xlarge") == true)
        let region = #expect(throws: CatalogError.self) {
            try catalog.price("trn2.48xlarge", basis: .capacityBlock, region: "us-esat-2", date: date)
        }
        #expect(region?.description.contains("us-east-2") == true)
    }
}

@Suite("Calendar days")
struct CalendarDayTests {
    @Test("days and months are read and printed as they stand")
    func reading() {
        for text in ["2026-10-03", "2026-10", "2024-02-29", "0999-12-31"] {
            #expect(CalendarDay(text)?.description == text)
        }
        for text in [
            "", "2026", "2026-13", "2026-00", "2026-1-1", "2026-02-30", "2025-02-29", "2026-10-3", "26-10-03",
            "2026-10-03T00", "+026-10-03", "2026-+1",
        ] {
            #expect(CalendarDay(text) == nil, "\(text)")
        }
    }

    @Test("a month sorts before its days")
    func order() throws {
        let month = try #require(CalendarDay("2026-10"))
        let first = try #require(CalendarDay("2026-10-01"))
        let last = try #require(CalendarDay("2026-09-30"))
        #expect(last < month && month < first)
        #expect(!(first < month))
    }
}
