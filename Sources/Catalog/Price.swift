/// How something is paid for. Bases are not mixed: a comparison uses one on both sides.
public enum PriceBasis: String, Sendable, Hashable, CaseIterable, Encodable {
    case onDemand = "on-demand"
    /// Reserved for a stated time ahead, paid in advance (EC2 Capacity Blocks).
    case capacityBlock = "capacity-block"
    case savings1Year = "savings-1y"
    case savings3Year = "savings-3y"
    /// The effective hourly rate of a reserved instance.
    case reserved
    case spot
    /// On demand from a specialised cloud.
    case market
    /// Rented for three years at market rates.
    case rental3Year = "rental-3y"
    /// Total cost of owning, for a hyperscaler.
    case ownership
    /// Total cost of owning, for a specialised cloud.
    case ownershipNeocloud = "ownership-neocloud"
}

/// One price, at one place, from one day on.
public struct Price: Sendable, Hashable, Encodable {
    /// The region of prices that name none.
    public static let anyRegion = "any"

    /// Id of an instance, or of an accelerator when `isPerAccelerator`.
    public var subject: String
    public var isPerAccelerator: Bool
    public var basis: PriceBasis
    /// A region's id, or `any`.
    public var region: String
    public var date: CalendarDay
    public var microDollarsPerHour: Int64
    public var grade: Grade
    public var source: String
    public var note: String?
}

/// The answer to "what did this cost there and then".
public struct PriceQuote: Sendable, Hashable, Encodable {
    /// For the whole instance.
    public var microDollarsPerHour: Int64
    /// The entry it comes from. Its date and region say how well it fits the question.
    public var price: Price
    /// Weaker than the entry's own when the price of another region had to serve.
    public var grade: Grade
    /// One sentence for a report: basis, region, date, source.
    public var statement: String
}

/// Every price, and the rule that picks one.
public struct PriceBook: Sendable {
    public private(set) var prices: [Price]
    private var bySubject: [String: [Int]]

    public init(_ prices: [Price] = []) {
        self.prices = []
        bySubject = [:]
        for price in prices { insert(price) }
    }

    /// Adds a price, in place of one for the same subject, basis, region and date.
    mutating func insert(_ price: Price) {
        let rivals = bySubject[price.subject] ?? []
        let same = rivals.first {
            let other = prices[$0]
            return other.basis == price.basis && other.region == price.region && other.date == price.date
                && other.isPerAccelerator == price.isPerAccelerator
        }
        if let same {
            prices[same] = price
        } else {
            bySubject[price.subject, default: []].append(prices.count)
            prices.append(price)
        }
    }

    /// All prices of an instance or accelerator, in file order.
    public func prices(of subject: String) -> [Price] { (bySubject[subject] ?? []).map { prices[$0] } }

    /// The latest price at or before `date` for `basis` in `region`, else for a price that names no region.
    ///
    /// A price of the instance goes before a price of its accelerator times their number. With
    /// `orElsewhere`, the price of another region serves when there is none here; the quote then says so and is graded
    /// `assumed`.
    /// Throws `noPrice` with a list of what there is.
    public func quote(
        for instance: Instance, basis: PriceBasis, region: String, date: CalendarDay, orElsewhere: Bool = false
    ) throws(CatalogError) -> PriceQuote {
        let own = prices(of: instance.id).filter { !$0.isPerAccelerator && $0.basis == basis }
        let perAccelerator = prices(of: instance.accelerator).filter { $0.isPerAccelerator && $0.basis == basis }
        for candidates in [own, perAccelerator] {
            for here in [region, Price.anyRegion] {
                if let price = latest(candidates.filter { $0.region == here }, at: date) {
                    return quote(price, for: instance, in: region)
                }
            }
            if orElsewhere, let price = latest(candidates, at: date) { return quote(price, for: instance, in: region) }
        }
        throw CatalogError(.noPrice, complaint(for: instance, basis: basis, region: region, date: date))
    }

    /// The latest at or before the date; of equals the first in file order.
    private func latest(_ candidates: [Price], at date: CalendarDay) -> Price? {
        var best: Price?
        for price in candidates where price.date <= date {
            if best == nil || price.date > best!.date { best = price }
        }
        return best
    }

    private func quote(_ price: Price, for instance: Instance, in region: String) -> PriceQuote {
        let count = price.isPerAccelerator ? Int64(instance.acceleratorCount.value) : 1
        let isElsewhere = price.region != region && price.region != Price.anyRegion
        var statement = "\(price.basis.rawValue) price of \(instance.id) as of \(price.date)"
        statement += price.region == Price.anyRegion ? ", region not stated" : ", \(price.region)"
        if price.isPerAccelerator { statement += ", \(count) x the price of one \(instance.accelerator)" }
        if isElsewhere { statement += " (none known in \(region))" }
        return PriceQuote(
            microDollarsPerHour: price.microDollarsPerHour * count, price: price,
            grade: isElsewhere ? .assumed : price.grade, statement: "\(statement); \(price.source)"
        )
    }

    private func complaint(for instance: Instance, basis: PriceBasis, region: String, date: CalendarDay) -> String {
        let known = (prices(of: instance.id) + prices(of: instance.accelerator))
            .sorted { ($0.basis.rawValue, $0.region, $0.date) < ($1.basis.rawValue, $1.region, $1.date) }
            .map { "\($0.basis.rawValue) \($0.region) \($0.date)" }
        let list = known.isEmpty ? "none of any kind" : known.joined(separator: "; ")
        return "no \(basis.rawValue) price for \(instance.id) in \(region) at or before \(date); known: \(list). "
            + "Give usd_per_hour, or add one to prices.csv of a catalogue directory (--catalog DIR)"
    }
}
